# What production adds:
#   terraform test -filter=tests/production.tftest.hcl -var-file=environments/production.tfvars

mock_provider "google" {
  source = "./tests/mocks"
}

run "protected" {
  command = plan

  assert {
    condition     = google_container_cluster.this.deletion_protection && google_sql_database_instance.this.deletion_protection && google_sql_database_instance.this.settings[0].deletion_protection_enabled
    error_message = "The cluster and the database must refuse to be destroyed."
  }

  assert {
    condition     = google_sql_database_instance.this.settings[0].availability_type == "REGIONAL"
    error_message = "The database must have a standby in another zone."
  }

  assert {
    condition     = google_binary_authorization_policy.this.default_admission_rule[0].enforcement_mode == "ENFORCED_BLOCK_AND_AUDIT_LOG"
    error_message = "An unsigned image must be refused."
  }

  assert {
    condition     = alltrue([for key in google_kms_crypto_key.this : key.version_template[0].protection_level == "HSM" && key.rotation_period == "7776000s"])
    error_message = "Keys must be in hardware and rotate."
  }

  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_endpoint
    error_message = "The control plane must have no public address."
  }

  assert {
    condition     = google_gke_backup_backup_plan.this.retention_policy[0].backup_delete_lock_days > 0
    error_message = "A fresh backup must not be deletable."
  }

  assert {
    condition     = !contains(keys(google_service_account.github), "build")
    error_message = "Only a release may push to production's registry."
  }
}

run "private_and_closed" {
  command = plan

  variables {
    cluster = {
      dns_endpoint     = false
      private_endpoint = true
      zones            = ["europe-west1-b", "europe-west1-c"]
    }
  }

  expect_failures = [google_container_cluster.this]
}
