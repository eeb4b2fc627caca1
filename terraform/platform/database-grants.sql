-- What each workload may do in its own database, and nobody else there. Run as database-admin; safe to run again.
-- psql sets :kfp and :mlflow, the workloads' PostgreSQL users.
\set ON_ERROR_STOP on

-- A new database lets everyone connect.
REVOKE CONNECT, TEMPORARY ON DATABASE metadb, mlflow, mlpipeline FROM PUBLIC;

GRANT CONNECT, TEMPORARY ON DATABASE mlflow TO :"mlflow";
GRANT CONNECT, TEMPORARY, CREATE ON DATABASE metadb, mlpipeline TO :"kfp";

-- Kubeflow's server asks for its database to be made before it looks whether it is there, and ends if it may not ask. The
-- right to let it is cloudsqlsuperuser's own: members have to become that role. From PostgreSQL 16 on, that role must also be
-- an administrator of Kubeflow's, which is why the instance is a 15.
SET ROLE cloudsqlsuperuser;
ALTER ROLE :"kfp" CREATEDB;
RESET ROLE;

\connect mlflow
GRANT USAGE, CREATE ON SCHEMA public TO :"mlflow";
\connect metadb
GRANT USAGE, CREATE ON SCHEMA public TO :"kfp";
\connect mlpipeline
GRANT USAGE, CREATE ON SCHEMA public TO :"kfp";
