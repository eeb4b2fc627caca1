# Nothing runs that CI did not sign, but for the platform's own images, which are listed.

resource "google_container_analysis_note" "built" {
  name              = "${local.name}-built-by-ci"
  short_description = "Built and tested by Lifeboat's CI"

  attestation_authority {
    hint {
      human_readable_name = "Lifeboat's CI"
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_binary_authorization_attestor" "ci" {
  name        = "${local.name}-ci"
  description = "Signs what CI built from main and tested"

  attestation_authority_note {
    note_reference = google_container_analysis_note.built.name

    public_keys {
      id = data.google_kms_crypto_key_version.attestor.id

      pkix_public_key {
        public_key_pem      = data.google_kms_crypto_key_version.attestor.public_key[0].pem
        signature_algorithm = data.google_kms_crypto_key_version.attestor.public_key[0].algorithm
      }
    }
  }
}

resource "google_binary_authorization_policy" "this" {
  description = "Lifeboat's images need an attestation of its CI"

  # GKE's own system images.
  global_policy_evaluation_mode = "ENABLE"

  dynamic "admission_whitelist_patterns" {
    for_each = var.binary_authorization.exempt_images

    content {
      name_pattern = admission_whitelist_patterns.value
    }
  }

  default_admission_rule {
    evaluation_mode         = "REQUIRE_ATTESTATION"
    enforcement_mode        = var.binary_authorization.enforce ? "ENFORCED_BLOCK_AND_AUDIT_LOG" : "DRYRUN_AUDIT_LOG_ONLY"
    require_attestations_by = [google_binary_authorization_attestor.ci.name]
  }
}
