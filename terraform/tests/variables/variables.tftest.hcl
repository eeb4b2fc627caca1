# What each variable refuses. It asks for no provider: tests/infra/terraform/test_terraform.py copies variables.tf beside it,
# and each run starts from environments/staging.tfvars.

run "the_environments_file_is_taken" {
  command = plan
}

run "backup_schedule_of_three_fields" {
  command = plan

  variables {
    backup = { schedule = "0 1 *" }
  }

  expect_failures = [var.backup]
}

run "backup_never_kept" {
  command = plan

  variables {
    backup = { retained_days = 0 }
  }

  expect_failures = [var.backup]
}

run "backup_locked_longer_than_kept" {
  command = plan

  variables {
    backup = { retained_days = 5, locked_days = 6 }
  }

  expect_failures = [var.backup]
}

run "backup_locked_where_tear_down_must_work" {
  command = plan

  variables {
    backup = { locked_days = 1 }
  }

  expect_failures = [var.backup]
}

run "any_image_exempt" {
  command = plan

  variables {
    binary_authorization = { exempt_images = ["*"] }
  }

  expect_failures = [var.binary_authorization]
}

run "whole_registry_exempt" {
  command = plan

  variables {
    binary_authorization = { exempt_images = ["docker.io/*"] }
  }

  expect_failures = [var.binary_authorization]
}

run "billing_account_by_name" {
  command = plan

  variables {
    budget = { billing_account = "ours", monthly_amount = 10 }
  }

  expect_failures = [var.budget]
}

run "budget_of_nothing" {
  command = plan

  variables {
    budget = { billing_account = "000000-000000-000000", monthly_amount = 0 }
  }

  expect_failures = [var.budget]
}

run "budget_with_cents" {
  command = plan

  variables {
    budget = { billing_account = "000000-000000-000000", monthly_amount = 10.5 }
  }

  expect_failures = [var.budget]
}

run "budget_mails_nobody" {
  command = plan

  variables {
    budget = { billing_account = "000000-000000-000000", monthly_amount = 10, emails = ["somebody"] }
  }

  expect_failures = [var.budget]
}

run "budget_threshold_in_percent" {
  command = plan

  variables {
    budget = { billing_account = "000000-000000-000000", monthly_amount = 10, thresholds = [80] }
  }

  expect_failures = [var.budget]
}

run "rapid_channel" {
  command = plan

  variables {
    cluster = { zones = ["europe-west1-b", "europe-west1-c"], release_channel = "RAPID" }
  }

  expect_failures = [var.cluster]
}

run "one_zone" {
  command = plan

  variables {
    cluster = { zones = ["europe-west1-b"] }
  }

  expect_failures = [var.cluster]
}

run "zone_of_another_region" {
  command = plan

  variables {
    cluster = { zones = ["europe-west1-b", "europe-west2-c"] }
  }

  expect_failures = [var.cluster]
}

run "control_plane_open_to_the_internet" {
  command = plan

  variables {
    cluster = { zones = ["europe-west1-b", "europe-west1-c"], authorized_networks = { all = "0.0.0.0/0" } }
  }

  expect_failures = [var.cluster]
}

run "control_plane_open_to_half_the_internet" {
  command = plan

  variables {
    cluster = { zones = ["europe-west1-b", "europe-west1-c"], authorized_networks = { half = "128.0.0.0/1" } }
  }

  expect_failures = [var.cluster]
}

run "authorized_network_without_size" {
  command = plan

  variables {
    cluster = { zones = ["europe-west1-b", "europe-west1-c"], authorized_networks = { office = "203.0.113.7" } }
  }

  expect_failures = [var.cluster]
}

run "security_group_of_another_name" {
  command = plan

  variables {
    cluster = { zones = ["europe-west1-b", "europe-west1-c"], security_group = "admins@example.com" }
  }

  expect_failures = [var.cluster]
}

run "old_postgresql" {
  command = plan

  variables {
    database = { version = "POSTGRES_14" }
  }

  expect_failures = [var.database]
}

run "mysql" {
  command = plan

  variables {
    database = { version = "MYSQL_8_4" }
  }

  expect_failures = [var.database]
}

run "shared_core_database" {
  command = plan

  variables {
    database = { tier = "db-f1-micro" }
  }

  expect_failures = [var.database]
}

run "database_disk_without_limit" {
  command = plan

  variables {
    database = { disk_limit_gb = 0 }
  }

  expect_failures = [var.database]
}

run "fewer_backups_than_days_of_log" {
  command = plan

  variables {
    database = { log_days = 7, retained_backups = 3 }
  }

  expect_failures = [var.database]
}

run "protected_staging" {
  command = plan

  variables {
    deletion_protection = true
  }

  expect_failures = [var.deletion_protection]
}

run "another_environment" {
  command = plan

  variables {
    environment = "dev"
  }

  expect_failures = [var.environment]
}

run "generation_in_parts" {
  command = plan

  variables {
    generation = 1.5
  }

  expect_failures = [var.generation]
}

run "generation_zero" {
  command = plan

  variables {
    generation = 0
  }

  expect_failures = [var.generation]
}

run "every_repository_of_an_owner" {
  command = plan

  variables {
    github = { repository = "example/*", repository_id = "1", owner_id = "1", lanes = ["plan"] }
  }

  expect_failures = [var.github]
}

run "repository_without_number" {
  command = plan

  variables {
    github = { repository = "example/lifeboat", repository_id = "", owner_id = "1", lanes = ["plan"] }
  }

  expect_failures = [var.github]
}

run "unknown_lane" {
  command = plan

  variables {
    github = { repository = "example/lifeboat", repository_id = "1", owner_id = "1", lanes = ["admin"] }
  }

  expect_failures = [var.github]
}

run "build_from_any_branch" {
  command = plan

  variables {
    github = { repository = "example/lifeboat", repository_id = "1", owner_id = "1", lanes = ["build"], build_ref = "refs/heads/*" }
  }

  expect_failures = [var.github]
}

run "release_from_a_branch" {
  command = plan

  variables {
    github = { repository = "example/lifeboat", repository_id = "1", owner_id = "1", lanes = ["release"], release_ref_prefix = "refs/heads/main" }
  }

  expect_failures = [var.github]
}

run "expression_in_an_environments_name" {
  command = plan

  variables {
    github = { repository = "example/lifeboat", repository_id = "1", owner_id = "1", lanes = ["release"], release_environment = "x' || true || '" }
  }

  expect_failures = [var.github]
}

run "key_outside" {
  command = plan

  variables {
    key_protection_level = "EXTERNAL"
  }

  expect_failures = [var.key_protection_level]
}

run "label_in_capitals" {
  command = plan

  variables {
    labels = { Team = "ml" }
  }

  expect_failures = [var.labels]
}

run "label_that_is_set_anyway" {
  command = plan

  variables {
    labels = { environment = "other" }
  }

  expect_failures = [var.labels]
}

run "namespace_in_capitals" {
  command = plan

  variables {
    namespaces = { serving = "Models" }
  }

  expect_failures = [var.namespaces]
}

run "default_namespace" {
  command = plan

  variables {
    namespaces = { serving = "default" }
  }

  expect_failures = [var.namespaces]
}

run "public_range" {
  command = plan

  variables {
    network = { nodes_cidr = "8.8.8.0/22" }
  }

  expect_failures = [var.network]
}

run "control_plane_range_too_wide" {
  command = plan

  variables {
    network = { control_plane_cidr = "172.16.0.0/24" }
  }

  expect_failures = [var.network]
}

run "google_range_too_narrow" {
  command = plan

  variables {
    network = { google_services_cidr = "10.64.0.0/28" }
  }

  expect_failures = [var.network]
}

run "no_flow_logs" {
  command = plan

  variables {
    network = { flow_log_sampling = 0 }
  }

  expect_failures = [var.network]
}

run "missing_pool" {
  command = plan

  variables {
    node_pools = {
      serving = { machine_type = "e2-standard-2", min_nodes = 2, max_nodes = 4 }
      system  = { machine_type = "e2-standard-4", min_nodes = 2, max_nodes = 4 }
    }
  }

  expect_failures = [var.node_pools]
}

run "more_nodes_at_least_than_at_most" {
  command = plan

  variables {
    node_pools = {
      pipelines = { machine_type = "e2-standard-4", min_nodes = 0, max_nodes = 4, spot = true, tainted = true }
      serving   = { machine_type = "e2-standard-2", min_nodes = 2, max_nodes = 4 }
      system    = { machine_type = "e2-standard-4", min_nodes = 3, max_nodes = 2 }
    }
  }

  expect_failures = [var.node_pools]
}

run "system_on_spot" {
  command = plan

  variables {
    node_pools = {
      pipelines = { machine_type = "e2-standard-4", min_nodes = 0, max_nodes = 4, spot = true, tainted = true }
      serving   = { machine_type = "e2-standard-2", min_nodes = 2, max_nodes = 4 }
      system    = { machine_type = "e2-standard-4", min_nodes = 2, max_nodes = 4, spot = true }
    }
  }

  expect_failures = [var.node_pools]
}

run "pipelines_never_at_zero" {
  command = plan

  variables {
    node_pools = {
      pipelines = { machine_type = "e2-standard-4", min_nodes = 1, max_nodes = 4, tainted = true }
      serving   = { machine_type = "e2-standard-2", min_nodes = 2, max_nodes = 4 }
      system    = { machine_type = "e2-standard-4", min_nodes = 2, max_nodes = 4 }
    }
  }

  expect_failures = [var.node_pools]
}

run "pipelines_open_to_every_pod" {
  command = plan

  variables {
    node_pools = {
      pipelines = { machine_type = "e2-standard-4", min_nodes = 0, max_nodes = 4 }
      serving   = { machine_type = "e2-standard-2", min_nodes = 2, max_nodes = 4 }
      system    = { machine_type = "e2-standard-4", min_nodes = 2, max_nodes = 4 }
    }
  }

  expect_failures = [var.node_pools]
}

run "serving_in_one_zone_only" {
  command = plan

  variables {
    node_pools = {
      pipelines = { machine_type = "e2-standard-4", min_nodes = 0, max_nodes = 4, spot = true, tainted = true }
      serving   = { machine_type = "e2-standard-2", min_nodes = 1, max_nodes = 4 }
      system    = { machine_type = "e2-standard-4", min_nodes = 2, max_nodes = 4 }
    }
  }

  expect_failures = [var.node_pools]
}

run "spinning_disk" {
  command = plan

  variables {
    node_pools = {
      pipelines = { machine_type = "e2-standard-4", min_nodes = 0, max_nodes = 4, spot = true, tainted = true }
      serving   = { machine_type = "e2-standard-2", min_nodes = 2, max_nodes = 4, disk_type = "pd-standard" }
      system    = { machine_type = "e2-standard-4", min_nodes = 2, max_nodes = 4 }
    }
  }

  expect_failures = [var.node_pools]
}

run "project_number" {
  command = plan

  variables {
    project_id = "123456789012"
  }

  expect_failures = [var.project_id]
}

run "zone_for_a_region" {
  command = plan

  variables {
    region = "europe-west1-b"
  }

  expect_failures = [var.region]
}

run "registry_cleaned_daily" {
  command = plan

  variables {
    registry = { build_days = 1 }
  }

  expect_failures = [var.registry]
}

run "registry_read_by_everyone" {
  command = plan

  variables {
    registry = { readers = ["allUsers"] }
  }

  expect_failures = [var.registry]
}

run "old_versions_gone_at_once" {
  command = plan

  variables {
    storage = { noncurrent_days = 0 }
  }

  expect_failures = [var.storage]
}

run "no_soft_delete" {
  command = plan

  variables {
    storage = { soft_delete_days = 0 }
  }

  expect_failures = [var.storage]
}
