# Three zones, a standby database, hardware keys, nothing that can be deleted by mistake. Put your project and repository in.

environment         = "production"
project_id          = "example-lifeboat-production"
region              = "europe-west1"
deletion_protection = true

cluster = {
  release_channel = "STABLE"
  zones           = ["europe-west1-b", "europe-west1-c", "europe-west1-d"]
}

node_pools = {
  pipelines = { machine_type = "e2-standard-8", min_nodes = 0, max_nodes = 10, spot = true, tainted = true }
  serving   = { machine_type = "n2-standard-4", min_nodes = 3, max_nodes = 12 }
  system    = { machine_type = "e2-standard-4", min_nodes = 3, max_nodes = 6 }
}

backup = { retained_days = 30, locked_days = 7 }

database = {
  tier              = "db-custom-2-7680"
  high_availability = true
  disk_gb           = 50
  retained_backups  = 30
}

budget = {
  billing_account = "000000-000000-000000"
  emails          = ["ml-platform@example.com"]
  monthly_amount  = 2000
}

github = {
  repository    = "example/lifeboat"
  repository_id = "1"
  owner_id      = "1"
  lanes         = ["plan", "release"]
}

key_protection_level = "HSM"
