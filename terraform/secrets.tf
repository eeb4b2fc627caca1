# Lifeboat speaks S3, which Cloud Storage answers for the holder of an HMAC key of a service account. Terraform makes the
# empty secret; platform.sh makes the key, stores it here, and copies it into the Secret that the workload's pods read. So no
# key is in the state, and no workload reads Secret Manager.

resource "google_secret_manager_secret" "s3_key" {
  for_each = local.s3_key_holders

  secret_id = "${local.name}-s3-${each.key}"
  labels    = merge(local.labels, { workload = each.key })

  # An old version can be had back for a day after it was destroyed by mistake.
  version_destroy_ttl = "86400s"

  replication {
    user_managed {
      replicas {
        location = var.region

        customer_managed_encryption {
          kms_key_name = google_kms_crypto_key.this["secrets"].id
        }
      }
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.service_agents]
}
