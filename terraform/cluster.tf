resource "google_container_cluster" "this" {
  name     = local.name
  location = var.region # a region, not a zone: the control plane runs in three zones

  deletion_protection = var.deletion_protection
  node_locations      = var.cluster.zones
  resource_labels     = local.labels

  # The node pools are resources of their own (node_pools.tf). GKE insists on one at first, and it is removed at once.
  remove_default_node_pool = true
  initial_node_count       = 1

  node_config {
    service_account   = google_service_account.nodes.email
    oauth_scopes      = ["https://www.googleapis.com/auth/cloud-platform"]
    boot_disk_kms_key = google_kms_crypto_key.this["disks"].id
    labels            = { environment = var.environment }
    resource_labels   = local.labels

    metadata = {
      disable-legacy-endpoints = "true"
    }

    shielded_instance_config {
      enable_integrity_monitoring = true
      enable_secure_boot          = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  # The network.
  network                     = google_compute_network.this.id
  subnetwork                  = google_compute_subnetwork.nodes.id
  networking_mode             = "VPC_NATIVE"
  datapath_provider           = "ADVANCED_DATAPATH" # Dataplane V2: network policies are enforced by eBPF
  enable_intranode_visibility = true                # flow logs see traffic between pods of one node
  enable_l4_ilb_subsetting    = true

  # Calico's switch. Dataplane V2 enforces network policies without it.
  network_policy {
    enabled = false
  }

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
    stack_type                    = "IPV4"
  }

  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = var.cluster.private_endpoint
    master_ipv4_cidr_block  = var.network.control_plane_cidr
  }

  control_plane_endpoints_config {
    # A name that only answers callers with IAM's container.clusters.connect: no bastion, no list of addresses.
    dns_endpoint_config {
      allow_external_traffic = var.cluster.dns_endpoint
    }
  }

  master_authorized_networks_config {
    # Google's own public addresses include those of every other customer's virtual machines.
    gcp_public_cidrs_access_enabled = false

    dynamic "cidr_blocks" {
      for_each = var.cluster.authorized_networks

      content {
        cidr_block   = cidr_blocks.value
        display_name = cidr_blocks.key
      }
    }
  }

  # A service with an arbitrary external address can take traffic meant for another (CVE-2020-8554).
  service_external_ips_config {
    enabled = false
  }

  # Who may do what.
  enable_legacy_abac      = false
  enable_kubernetes_alpha = false
  enable_shielded_nodes   = true

  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  anonymous_authentication_config {
    mode = "LIMITED" # health checks only
  }

  rbac_binding_config {
    enable_insecure_binding_system_authenticated   = false
    enable_insecure_binding_system_unauthenticated = false
  }

  dynamic "authenticator_groups_config" {
    for_each = var.cluster.security_group == null ? [] : [var.cluster.security_group]

    content {
      security_group = authenticator_groups_config.value
    }
  }

  workload_identity_config {
    workload_pool = "${var.project_id}.svc.id.goog"
  }

  binary_authorization {
    evaluation_mode = "PROJECT_SINGLETON_POLICY_ENFORCE" # binary_authorization.tf says whether it blocks or only logs
  }

  database_encryption {
    state    = "ENCRYPTED"
    key_name = google_kms_crypto_key.this["cluster"].id
  }

  security_posture_config {
    mode               = "BASIC"
    vulnerability_mode = "VULNERABILITY_BASIC"
  }

  # Upkeep.
  release_channel {
    channel = var.cluster.release_channel
  }

  maintenance_policy {
    recurring_window {
      start_time = var.cluster.maintenance.start_time
      end_time   = var.cluster.maintenance.end_time
      recurrence = var.cluster.maintenance.recurrence
    }
  }

  cluster_autoscaling {
    # Nodes go sooner when idle. It sizes our own pools only: no pool is made by itself.
    autoscaling_profile = "OPTIMIZE_UTILIZATION"
  }

  vertical_pod_autoscaling {
    enabled = true
  }

  node_pool_defaults {
    node_config_defaults {
      insecure_kubelet_readonly_port_enabled = "FALSE"

      gcfs_config {
        enabled = true
      }
    }
  }

  addons_config {
    dns_cache_config {
      enabled = true
    }

    gce_persistent_disk_csi_driver_config {
      enabled = true
    }

    # Mounts a bucket as a directory by the workload's own identity.
    gcs_fuse_csi_driver_config {
      enabled = true
    }

    gke_backup_agent_config {
      enabled = true
    }

    horizontal_pod_autoscaling {
      disabled = false
    }

    http_load_balancing {
      disabled = false
    }

    network_policy_config {
      disabled = true
    }
  }

  # What it tells.
  cost_management_config {
    enabled = true # the bill says namespaces and labels
  }

  logging_config {
    enable_components = ["APISERVER", "CONTROLLER_MANAGER", "SCHEDULER", "SYSTEM_COMPONENTS", "WORKLOADS"]
  }

  monitoring_config {
    # kube-prometheus-stack collects the workloads' metrics; Google's managed Prometheus would bill for the same again.
    enable_components = ["APISERVER", "CONTROLLER_MANAGER", "SCHEDULER", "SYSTEM_COMPONENTS"]

    managed_prometheus {
      enabled = false
    }

    advanced_datapath_observability_config {
      enable_metrics = true
      enable_relay   = false
    }
  }

  # Without the key's grant the control plane does not come up; without the policy its first pods might not be admitted.
  depends_on = [
    google_binary_authorization_policy.this,
    google_kms_crypto_key_iam_member.service_agents,
    google_project_iam_member.nodes,
    google_project_service.this,
  ]

  lifecycle {
    # They describe the pool that was removed.
    ignore_changes = [initial_node_count, node_config]

    precondition {
      condition     = !var.cluster.private_endpoint || var.cluster.dns_endpoint || length(var.cluster.authorized_networks) > 0
      error_message = "A cluster with a private endpoint needs a way in: cluster.dns_endpoint, or an internal range in cluster.authorized_networks."
    }
  }
}
