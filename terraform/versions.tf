terraform {
  # 1.11 is the oldest release this was tested with; cross-variable validation and mocked providers need 1.9 and 1.7.
  required_version = ">= 1.11.4, < 2.0.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45.0"
    }
  }

  # Bucket and prefix come from environments/NAME.gcs.tfbackend. The bucket locks the state while a command writes it,
  # and keeps old versions of it. bootstrap.sh makes the bucket.
  backend "gcs" {}
}
