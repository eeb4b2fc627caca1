resource "google_container_node_pool" "this" {
  for_each = var.node_pools

  name     = each.key
  cluster  = google_container_cluster.this.id
  location = var.region

  node_locations = var.cluster.zones

  # Totals over the region: the spread over zones is location_policy's. BALANCED keeps zones even, for what must outlive
  # one; ANY takes spot machines where there are any.
  initial_node_count = ceil(each.value.min_nodes / length(var.cluster.zones)) # in each zone

  autoscaling {
    total_min_node_count = each.value.min_nodes
    total_max_node_count = each.value.max_nodes
    location_policy      = each.value.spot ? "ANY" : "BALANCED"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  upgrade_settings {
    strategy        = "SURGE"
    max_surge       = 1
    max_unavailable = 0
  }

  node_config {
    machine_type = each.value.machine_type
    image_type   = "COS_CONTAINERD"
    spot         = each.value.spot

    disk_size_gb      = each.value.disk_gb
    disk_type         = each.value.disk_type
    boot_disk_kms_key = google_kms_crypto_key.this["disks"].id

    service_account = google_service_account.nodes.email
    # Google's advice: the widest scope, and roles that limit it.
    oauth_scopes = ["https://www.googleapis.com/auth/cloud-platform"]

    labels          = { "lifeboat.dev/pool" = each.key }
    resource_labels = merge(local.labels, { pool = each.key })
    tags            = [local.name]

    metadata = {
      disable-legacy-endpoints = "true"
    }

    # Only what tolerates it comes here, so that the pool goes back to zero when the last step ends.
    dynamic "taint" {
      for_each = each.value.tainted ? [each.key] : []

      content {
        key    = "lifeboat.dev/pool"
        value  = taint.value
        effect = "NO_SCHEDULE"
      }
    }

    gcfs_config {
      enabled = true # a container starts before its image has arrived whole
    }

    gvnic {
      enabled = true
    }

    kubelet_config {
      cpu_cfs_quota                          = true
      insecure_kubelet_readonly_port_enabled = "FALSE"
      pod_pids_limit                         = 4096
    }

    shielded_instance_config {
      enable_integrity_monitoring = true
      enable_secure_boot          = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA" # a pod sees its own identity, never the node's
    }
  }

  lifecycle {
    # The autoscaler's from then on.
    ignore_changes = [initial_node_count]
  }
}
