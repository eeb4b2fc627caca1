locals {
  # Days after which an object that nothing else keeps is deleted; null for ever.
  buckets = {
    bundles   = { delete_after_days = null }
    data      = { delete_after_days = null }
    mlflow    = { delete_after_days = null }
    pipelines = { delete_after_days = var.storage.pipeline_run_days } # what Kubeflow's steps hand to one another
  }
}

resource "google_storage_bucket" "this" {
  # checkov:skip=CKV_GCP_62:Cloud Audit Logs say who wrote what (audit.tf); Google advises them over access logs, which are delivered late and may be incomplete.
  for_each = local.buckets

  name     = "${var.project_id}-${each.key}"
  location = upper(var.region)
  labels   = local.labels

  force_destroy               = !var.deletion_protection
  public_access_prevention    = "enforced"
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true

  encryption {
    default_kms_key_name = google_kms_crypto_key.this["storage"].id
  }

  soft_delete_policy {
    retention_duration_seconds = var.storage.soft_delete_days * 24 * 3600
  }

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      days_since_noncurrent_time = var.storage.noncurrent_days
      num_newer_versions         = 3
      with_state                 = "ARCHIVED"
    }
  }

  # What is removed of somebody, or is too old to be kept, is to be gone: none newer takes its place.
  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      days_since_noncurrent_time = 1
      matches_prefix             = ["labelled/", "trust/"]
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = 7
    }
  }

  lifecycle_rule {
    action {
      type          = "SetStorageClass"
      storage_class = "NEARLINE"
    }

    # Old data and old models are read once in a while, by an audit or a rollback.
    condition {
      age                   = var.storage.nearline_days
      matches_storage_class = ["STANDARD"]
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.delete_after_days == null ? [] : [each.value.delete_after_days]

    content {
      action {
        type = "Delete"
      }

      condition {
        age        = lifecycle_rule.value
        with_state = "LIVE"
      }
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.service_agents]
}
