resource "google_artifact_registry_repository" "images" {
  repository_id = "lifeboat"
  description   = "Lifeboat's images, each pushed once and deployed by digest"
  format        = "DOCKER"
  kms_key_name  = google_kms_crypto_key.this["registry"].id
  labels        = local.labels
  location      = var.region

  docker_config {
    immutable_tags = true
  }

  vulnerability_scanning_config {
    enablement_config = "INHERITED" # by containerscanning.googleapis.com, which services.tf enables
  }

  # Keep wins over delete: a release stays for ever, and so do the last builds, whatever their age.
  cleanup_policies {
    id     = "keep-releases"
    action = "KEEP"

    condition {
      tag_state    = "TAGGED"
      tag_prefixes = ["v"]
    }
  }

  cleanup_policies {
    id     = "keep-last-builds"
    action = "KEEP"

    most_recent_versions {
      keep_count = var.registry.kept_builds
    }
  }

  cleanup_policies {
    id     = "delete-old-builds"
    action = "DELETE"

    condition {
      tag_state  = "ANY"
      older_than = "${var.registry.build_days * 24 * 3600}s"
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.service_agents]
}

resource "google_artifact_registry_repository_iam_member" "nodes" {
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.nodes.member
}

# Another environment's release account copies images from here.
resource "google_artifact_registry_repository_iam_member" "readers" {
  for_each = var.registry.readers

  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = "serviceAccount:${each.value}"
}
