provider "google" {
  project = var.project_id
  region  = var.region

  # The budget's API asks which project pays for the call when a person, not a service account, makes it.
  billing_project       = var.project_id
  user_project_override = true
}
