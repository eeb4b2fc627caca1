# GitHub's workflows sign in with the token that GitHub gives each job. No key exists that could leak.

locals {
  # What a job may be, in CEL over its token's claims. Each becomes a lane; a job that is none of them gets nothing.
  github_lanes = {
    build   = "assertion.event_name == 'push' && assertion.ref == '${var.github.build_ref}'"
    plan    = "assertion.event_name == 'pull_request'" # GitHub gives a pull request from a fork no token
    release = "has(assertion.environment) && assertion.environment == '${var.github.release_environment}' && assertion.ref.startsWith('${var.github.release_ref_prefix}')"
  }

  # Reading what a plan compares, part by part. roles/viewer would be one line, and would read the data too.
  github_plan_roles = [
    "roles/artifactregistry.reader",
    "roles/binaryauthorization.attestorsViewer",
    "roles/binaryauthorization.policyViewer",
    "roles/browser",
    "roles/cloudkms.publicKeyViewer",
    "roles/cloudkms.viewer",
    "roles/cloudsql.viewer",
    "roles/compute.networkViewer",
    "roles/container.clusterViewer",
    "roles/containeranalysis.notes.viewer",
    "roles/gkebackup.viewer",
    "roles/iam.securityReviewer",
    "roles/iam.serviceAccountViewer",
    "roles/iam.workloadIdentityPoolViewer",
    "roles/monitoring.notificationChannelViewer",
    "roles/secretmanager.viewer",
    "roles/serviceusage.serviceUsageConsumer",
    "roles/storage.bucketViewer",
  ]

  # Who pushes an image also signs it.
  github_signers = setintersection(var.github.lanes, ["build", "release"])
}

resource "google_iam_workload_identity_pool" "github" {
  workload_identity_pool_id = "${local.generation_name}-github"
  display_name              = "GitHub, ${var.environment}"
  description               = "Workflows of ${var.github.repository}"

  depends_on = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  # checkov:skip=CKV_GCP_125:it looks for one literal assertion.sub. The condition holds the repository's and the owner's numbers and, by the lane, event, ref and environment, which is narrower; tests/hardened.tftest.hcl checks it.
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"

  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
    "attribute.lane" = join("", concat(
      [for lane in sort(tolist(var.github.lanes)) : "(${local.github_lanes[lane]}) ? '${lane}' : "],
      ["'none'"],
    ))
  }

  # The numbers, since a name can be given up and taken by somebody else.
  attribute_condition = join(" && ", [
    "assertion.repository == '${var.github.repository}'",
    "assertion.repository_id == '${var.github.repository_id}'",
    "assertion.repository_owner_id == '${var.github.owner_id}'",
    "attribute.lane != 'none'",
  ])

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account" "github" {
  for_each = var.github.lanes

  account_id   = "github-${each.key}"
  display_name = "Lifeboat ${var.environment}: GitHub, ${each.key}"
  description  = "Jobs of ${var.github.repository} in the lane ${each.key}"

  depends_on = [google_project_service.this]
}

resource "google_service_account_iam_member" "github" {
  for_each = var.github.lanes

  service_account_id = google_service_account.github[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/attribute.lane/${each.key}"
}

# The lane plan.

resource "google_project_iam_member" "github_plan" {
  for_each = contains(var.github.lanes, "plan") ? toset(local.github_plan_roles) : []

  project = var.project_id
  role    = each.value
  member  = google_service_account.github["plan"].member
}

# It holds no password (database.tf, secrets.tf). Reading is all a plan does: CI plans with -lock=false.
resource "google_storage_bucket_iam_member" "github_plan_state" {
  count = contains(var.github.lanes, "plan") ? 1 : 0

  bucket = local.state_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.github["plan"].member
}

# The plan compares the budget too, which belongs to the billing account.
resource "google_billing_account_iam_member" "github_plan" {
  count = contains(var.github.lanes, "plan") && var.budget != null ? 1 : 0

  billing_account_id = var.budget.billing_account
  role               = "roles/billing.viewer"
  member             = google_service_account.github["plan"].member
}

# The lanes build and release.

resource "google_artifact_registry_repository_iam_member" "github_push" {
  for_each = local.github_signers

  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.github[each.key].member
}

resource "google_kms_crypto_key_iam_member" "github_sign" {
  for_each = local.github_signers

  crypto_key_id = google_kms_crypto_key.attestor.id
  role          = "roles/cloudkms.signerVerifier"
  member        = google_service_account.github[each.key].member
}

resource "google_binary_authorization_attestor_iam_member" "github_view" {
  for_each = local.github_signers

  attestor = google_binary_authorization_attestor.ci.name
  role     = "roles/binaryauthorization.attestorsViewer"
  member   = google_service_account.github[each.key].member
}

resource "google_container_analysis_note_iam_member" "github_attach" {
  for_each = local.github_signers

  note   = google_container_analysis_note.built.name
  role   = "roles/containeranalysis.notes.attacher"
  member = google_service_account.github[each.key].member
}

# An attestation is an occurrence, and occurrences belong to the project.
resource "google_project_iam_member" "github_attest" {
  for_each = local.github_signers

  project = var.project_id
  role    = "roles/containeranalysis.occurrences.editor"
  member  = google_service_account.github[each.key].member
}
