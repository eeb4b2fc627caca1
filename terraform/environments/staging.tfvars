# Small and cheap, and torn down by one command. Put your project and repository in.

environment         = "staging"
project_id          = "example-lifeboat-staging"
region              = "europe-west1"
deletion_protection = false

cluster = {
  zones = ["europe-west1-b", "europe-west1-c"]
}

node_pools = {
  pipelines = { machine_type = "e2-standard-4", min_nodes = 0, max_nodes = 4, spot = true, tainted = true }
  serving   = { machine_type = "e2-standard-2", min_nodes = 2, max_nodes = 4 }
  system    = { machine_type = "e2-standard-4", min_nodes = 2, max_nodes = 4 }
}

# An image that CI did not sign is logged, not refused: a developer may try one.
binary_authorization = { enforce = false }

backup   = { retained_days = 3 }
database = { retained_backups = 7 }

budget = {
  billing_account = "000000-000000-000000"
  emails          = ["ml-platform@example.com"]
  monthly_amount  = 800
}

github = {
  repository    = "example/lifeboat"
  repository_id = "1"
  owner_id      = "1"
  lanes         = ["build", "plan"]
}

# Production's release account copies images from here, digest for digest.
registry = {
  readers = ["github-release@example-lifeboat-production.iam.gserviceaccount.com"]
}
