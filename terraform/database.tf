# MLflow's database: the registry. MLflow signs in as its own service account through Cloud SQL's proxy: there is no password to
# make, keep in the state, or rotate. Kubeflow's history of runs is in the cluster (platform/kfp says why).

locals {
  databases = ["mlflow"]

  # Cloud SQL names the user of a service account without the domain's end.
  database_users = {
    for name in ["database-admin", "mlflow"] :
    name => trimsuffix(google_service_account.workload[name].email, ".gserviceaccount.com")
  }

  database_flags = {
    "cloudsql.enable_pgaudit"     = "on"
    "cloudsql.iam_authentication" = "on"
    "log_checkpoints"             = "on"
    "log_connections"             = "on"
    "log_disconnections"          = "on"
    "log_duration"                = "off"
    "log_hostname"                = "on"
    "log_lock_waits"              = "on"
    "log_min_duration_statement"  = "-1" # statements hold data
    "log_min_error_statement"     = "error"
    "log_min_messages"            = "warning"
    "log_statement"               = "ddl"
    "log_temp_files"              = "0"
    "pgaudit.log"                 = "ddl,role"
  }
}

resource "google_sql_database_instance" "this" {
  # checkov:skip=CKV_GCP_79:17 is what MLflow has elsewhere (kustomize/base/postgres), so there is one version to try; variables.tf takes any later one.
  name             = local.generation_name
  database_version = var.database.version
  region           = var.region

  deletion_protection = var.deletion_protection # Terraform's own
  encryption_key_name = google_kms_crypto_key.this["database"].id

  settings {
    tier              = var.database.tier
    availability_type = var.database.high_availability ? "REGIONAL" : "ZONAL"
    edition           = "ENTERPRISE"
    user_labels       = local.labels

    connector_enforcement       = "REQUIRED" # the proxy's mutual TLS and IAM, nothing else
    deletion_protection_enabled = var.deletion_protection
    retain_backups_on_delete    = var.deletion_protection

    disk_autoresize       = true
    disk_autoresize_limit = var.database.disk_limit_gb
    disk_size             = var.database.disk_gb
    disk_type             = "PD_SSD"

    backup_configuration {
      enabled                        = true
      location                       = var.region
      point_in_time_recovery_enabled = true
      start_time                     = "02:00"
      transaction_log_retention_days = var.database.log_days

      backup_retention_settings {
        retained_backups = var.database.retained_backups
        retention_unit   = "COUNT"
      }
    }

    insights_config {
      query_insights_enabled  = true
      record_application_tags = false
      record_client_address   = false
    }

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
      ssl_mode        = "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    }

    maintenance_window {
      day          = 7
      hour         = 3
      update_track = "stable"
    }

    # The one built-in user left is postgres. Whoever gives it a password gives it a good one.
    password_validation_policy {
      enable_password_policy      = true
      complexity                  = "COMPLEXITY_DEFAULT"
      disallow_username_substring = true
      min_length                  = 24
      reuse_interval              = 5
    }

    dynamic "database_flags" {
      for_each = local.database_flags

      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }

  lifecycle {
    # It grows by itself.
    ignore_changes = [settings[0].disk_size]
  }

  depends_on = [
    google_kms_crypto_key_iam_member.service_agents,
    google_service_networking_connection.google_services,
  ]
}

resource "google_sql_database" "this" {
  for_each = toset(local.databases)

  name     = each.value
  instance = google_sql_database_instance.this.name

  # PostgreSQL refuses to drop a database that is in use. It goes with the instance.
  deletion_policy = "ABANDON"
}

resource "google_sql_user" "this" {
  for_each = local.database_users

  name     = each.value
  instance = google_sql_database_instance.this.name
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"

  # The workloads start with no right at all. platform.sh runs database-grants.sql as database-admin, which gives each
  # what is its own.
  database_roles = each.key == "database-admin" ? ["cloudsqlsuperuser"] : null

  # PostgreSQL refuses to drop a user that owns anything. It goes with the instance.
  deletion_policy = "ABANDON"
}
