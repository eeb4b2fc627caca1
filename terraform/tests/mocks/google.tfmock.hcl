# Values that the cloud would give, in the form that the real provider's checks ask for.

mock_data "google_project" {
  defaults = { number = "123456789012" }
}

mock_data "google_kms_crypto_key_version" {
  defaults = { public_key = [{ algorithm = "EC_SIGN_P256_SHA256", pem = "made up" }] }
}

mock_resource "google_artifact_registry_repository" {
  defaults = { name = "lifeboat" }
}

mock_resource "google_binary_authorization_attestor" {
  defaults = { id = "projects/example-project/attestors/ci" }
}

mock_resource "google_compute_network" {
  defaults = { id = "projects/example-project/global/networks/example" }
}

mock_resource "google_container_cluster" {
  defaults = { id = "projects/example-project/locations/europe-west1/clusters/example" }
}

mock_resource "google_kms_crypto_key" {
  defaults = { id = "projects/example-project/locations/europe-west1/keyRings/example/cryptoKeys/example" }
}

mock_resource "google_kms_key_ring" {
  defaults = { id = "projects/example-project/locations/europe-west1/keyRings/example" }
}

mock_resource "google_secret_manager_secret" {
  defaults = { id = "projects/example-project/secrets/example" }
}

mock_resource "google_service_account" {
  defaults = {
    email  = "example@example-project.iam.gserviceaccount.com"
    member = "serviceAccount:example@example-project.iam.gserviceaccount.com"
    name   = "projects/example-project/serviceAccounts/example@example-project.iam.gserviceaccount.com"
  }
}
