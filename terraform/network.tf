resource "google_compute_network" "this" {
  name                    = local.name
  auto_create_subnetworks = false
  routing_mode            = "REGIONAL"

  depends_on = [google_project_service.this]
}

resource "google_compute_subnetwork" "nodes" {
  name    = "${local.name}-nodes"
  network = google_compute_network.this.id
  region  = var.region

  ip_cidr_range            = var.network.nodes_cidr
  private_ip_google_access = true
  stack_type               = "IPV4_ONLY"

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = var.network.pods_cidr
  }

  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = var.network.services_cidr
  }

  log_config {
    aggregation_interval = "INTERVAL_5_SEC"
    flow_sampling        = var.network.flow_log_sampling
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

# Nodes have no public address. This is their way out, to registries that are not ours.
resource "google_compute_router" "this" {
  name    = local.name
  network = google_compute_network.this.id
  region  = var.region
}

resource "google_compute_router_nat" "this" {
  name   = local.name
  router = google_compute_router.this.name
  region = var.region

  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  # A pipeline step that pulls from one registry opens many connections to one address: ports grow with need.
  enable_dynamic_port_allocation      = true
  enable_endpoint_independent_mapping = false
  min_ports_per_vm                    = 64
  max_ports_per_vm                    = 4096

  subnetwork {
    name                    = google_compute_subnetwork.nodes.id
    source_ip_ranges_to_nat = ["PRIMARY_IP_RANGE", "LIST_OF_SECONDARY_IP_RANGES"]

    secondary_ip_range_names = ["pods"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

# GKE opens 443 and 10250 from the control plane to the nodes. The admission webhooks of Istio and Seldon listen elsewhere;
# without this rule every pod creation waits for them in vain.
resource "google_compute_firewall" "webhooks" {
  name    = "${local.name}-webhooks"
  network = google_compute_network.this.id

  description             = "Control plane to the admission webhooks of Istio (15017) and Seldon (4443, 8443)"
  direction               = "INGRESS"
  source_ranges           = [var.network.control_plane_cidr]
  target_service_accounts = [google_service_account.nodes.email]

  allow {
    protocol = "tcp"
    ports    = ["15017", "4443", "8443"]
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}

# Every network ends in a denial that is not logged. This one says the same one step earlier, and is.
resource "google_compute_firewall" "deny" {
  name    = "${local.name}-deny-ingress"
  network = google_compute_network.this.id

  description   = "What no other rule allows, with a log line"
  direction     = "INGRESS"
  priority      = 65534
  source_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }

  log_config {
    metadata = "EXCLUDE_ALL_METADATA"
  }
}

# Cloud SQL's private address lies in a range of Google's network that is peered with ours.
resource "google_compute_global_address" "google_services" {
  name    = "${local.name}-google-services"
  network = google_compute_network.this.id

  address       = split("/", var.network.google_services_cidr)[0]
  address_type  = "INTERNAL"
  labels        = local.labels
  prefix_length = tonumber(split("/", var.network.google_services_cidr)[1])
  purpose       = "VPC_PEERING"
}

resource "google_service_networking_connection" "google_services" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.google_services.name]

  # Cloud SQL holds the peering for days after its instance is gone, which fails a destroy. Left alone, it ends with the
  # network.
  deletion_policy = "ABANDON"
}
