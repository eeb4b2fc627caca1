-- What MLflow may do in its own database, and nobody else there. Run as database-admin; safe to run again.
-- psql sets :mlflow, the workload's PostgreSQL user.
\set ON_ERROR_STOP on

-- A new database lets everyone connect.
REVOKE CONNECT, TEMPORARY ON DATABASE mlflow FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE mlflow TO :"mlflow";

\connect mlflow
GRANT USAGE, CREATE ON SCHEMA public TO :"mlflow";
