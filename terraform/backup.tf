# What Git does not hold: Prometheus's, SeaweedFS's and the drift detector's volumes, and objects made by hand.
resource "google_gke_backup_backup_plan" "this" {
  name     = local.name
  cluster  = google_container_cluster.this.id
  location = var.region
  labels   = local.labels

  backup_config {
    all_namespaces      = true
    include_secrets     = true
    include_volume_data = true

    encryption_key {
      gcp_kms_encryption_key = google_kms_crypto_key.this["backup"].id
    }
  }

  backup_schedule {
    cron_schedule = var.backup.schedule
  }

  retention_policy {
    backup_delete_lock_days = var.backup.locked_days
    backup_retain_days      = var.backup.retained_days
  }

  depends_on = [google_kms_crypto_key_iam_member.service_agents]
}
