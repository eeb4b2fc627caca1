# One key for each kind of thing, so that one can be withdrawn without the others.

locals {
  # The Google-run account that encrypts and decrypts with each key. bootstrap.sh makes those that do not exist yet.
  key_users = {
    backup   = "service-${local.project_number}@gcp-sa-gkebackup.iam.gserviceaccount.com"
    cluster  = "service-${local.project_number}@container-engine-robot.iam.gserviceaccount.com"
    database = "service-${local.project_number}@gcp-sa-cloud-sql.iam.gserviceaccount.com"
    disks    = "service-${local.project_number}@compute-system.iam.gserviceaccount.com"
    registry = "service-${local.project_number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
    secrets  = "service-${local.project_number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
    storage  = "service-${local.project_number}@gs-project-accounts.iam.gserviceaccount.com"
  }
}

resource "google_kms_key_ring" "this" {
  name     = local.generation_name
  location = var.region

  depends_on = [google_project_service.this]
}

resource "google_kms_crypto_key" "this" {
  # checkov:skip=CKV_GCP_82:prevent_destroy cannot depend on the environment, and staging must tear down. In production the whole stack is guarded by deletion_protection, and a destroyed key version can be restored for 30 days.
  for_each = local.key_users

  name            = each.key
  key_ring        = google_kms_key_ring.this.id
  labels          = local.labels
  rotation_period = "7776000s" # 90 days

  # How long a destroyed version can be restored.
  destroy_scheduled_duration = "2592000s" # 30 days

  version_template {
    algorithm        = "GOOGLE_SYMMETRIC_ENCRYPTION"
    protection_level = var.key_protection_level
  }
}

resource "google_kms_crypto_key_iam_member" "service_agents" {
  for_each = local.key_users

  crypto_key_id = google_kms_crypto_key.this[each.key].id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value}"
}

# CI signs images with it; Binary Authorization checks the signature.
resource "google_kms_crypto_key" "attestor" {
  # checkov:skip=CKV_GCP_43:an asymmetric key cannot rotate by itself; a new version is added to the attestor by hand (docs/path-to-production.md).
  # checkov:skip=CKV_GCP_82:as above, staging must tear down.
  name     = "attestor"
  key_ring = google_kms_key_ring.this.id
  labels   = local.labels
  purpose  = "ASYMMETRIC_SIGN"

  destroy_scheduled_duration = "2592000s" # 30 days

  version_template {
    algorithm        = "EC_SIGN_P256_SHA256"
    protection_level = var.key_protection_level
  }
}

data "google_kms_crypto_key_version" "attestor" {
  crypto_key = google_kms_crypto_key.attestor.id
}
