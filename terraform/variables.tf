variable "backup" {
  description = "Backup for GKE: when (cron, UTC), how many days a backup is kept, and for how many it cannot be deleted."

  type = object({
    locked_days   = optional(number, 0)
    retained_days = optional(number, 7)
    schedule      = optional(string, "0 1 * * *")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^(\\S+ ){4}\\S+$", var.backup.schedule))
    error_message = "backup.schedule must be a cron line of five fields, such as \"0 1 * * *\"."
  }

  validation {
    condition     = var.backup.retained_days >= 1 && var.backup.retained_days <= 365
    error_message = "backup.retained_days must be from 1 to 365."
  }

  validation {
    condition     = var.backup.locked_days >= 0 && var.backup.locked_days <= min(90, var.backup.retained_days)
    error_message = "backup.locked_days must be from 0 to 90 and no more than backup.retained_days."
  }

  validation {
    condition     = var.deletion_protection || var.backup.locked_days == 0
    error_message = "backup.locked_days must be 0 where deletion_protection is false: a locked backup stops a tear-down."
  }
}

variable "binary_authorization" {
  description = "Whether an image without CI's attestation is refused or only logged, and which images need none."

  type = object({
    enforce = optional(bool, true)
    exempt_images = optional(set(string), [
      "docker.io/alpine:*",
      "docker.io/grafana/*",
      "docker.io/istio/*",
      "docker.io/mysql:*",
      "docker.io/postgres:*",
      "docker.io/seldonio/*",
      "gcr.io/cloud-sql-connectors/cloud-sql-proxy:*",
      "gcr.io/tfx-oss-public/*",
      "ghcr.io/chrislusf/*",
      "ghcr.io/containerd/*",
      "ghcr.io/jkroepke/*",
      "ghcr.io/kubeflow/*",
      "quay.io/argoproj/*",
      "quay.io/kiwigrid/*",
      "quay.io/prometheus-operator/*",
      "quay.io/prometheus/*",
      "registry.k8s.io/ingress-nginx/*",
      "registry.k8s.io/kube-state-metrics/*",
      "registry.k8s.io/prometheus-adapter/*",
    ])
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for pattern in var.binary_authorization.exempt_images : can(regex("^[a-z0-9.-]+\\.[a-z]+/[^*]+", pattern))
    ])
    error_message = "binary_authorization.exempt_images must each name a registry and a folder before any *: \"docker.io/istio/*\", not \"*\"."
  }
}

variable "budget" {
  description = "Monthly budget of the project, and who hears of it. Null for none."

  type = object({
    billing_account = string
    currency        = optional(string, "USD")
    emails          = optional(set(string), [])
    monthly_amount  = number
    thresholds      = optional(set(number), [0.5, 0.8, 1.0])
  })
  default = null

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "budget.billing_account must look like 012345-6789AB-CDEF01."
  }

  validation {
    condition     = var.budget == null || try(var.budget.monthly_amount >= 1 && floor(var.budget.monthly_amount) == var.budget.monthly_amount, false)
    error_message = "budget.monthly_amount must be a whole number of at least 1."
  }

  validation {
    condition     = var.budget == null || try(length(var.budget.emails) <= 5 && alltrue([for email in var.budget.emails : can(regex("^[^@ ]+@[^@ ]+$", email))]), false)
    error_message = "budget.emails must be at most 5 addresses: Google takes no more for a budget."
  }

  validation {
    condition     = var.budget == null || try(length(var.budget.thresholds) > 0 && alltrue([for part in var.budget.thresholds : part > 0 && part <= 2]), false)
    error_message = "budget.thresholds must be shares of the amount, above 0 and up to 2: 0.8 is 80 %."
  }
}

variable "cluster" {
  description = <<-EOT
    The cluster: its zones, its release channel, when it may be upgraded, and the ways to its control plane.
    authorized_networks maps a name to a range; dns_endpoint opens the name that asks IAM; private_endpoint closes the public address;
    security_group (gke-security-groups@DOMAIN) lets RBAC name Google groups.
  EOT

  type = object({
    authorized_networks = optional(map(string), {})
    dns_endpoint        = optional(bool, true)
    maintenance = optional(object({
      end_time   = optional(string, "2026-01-03T06:00:00Z")
      recurrence = optional(string, "FREQ=WEEKLY;BYDAY=SA,SU")
      start_time = optional(string, "2026-01-03T00:00:00Z")
    }), {})
    private_endpoint = optional(bool, true)
    release_channel  = optional(string, "REGULAR")
    security_group   = optional(string)
    zones            = set(string)
  })
  nullable = false

  validation {
    condition     = contains(["REGULAR", "STABLE"], var.cluster.release_channel)
    error_message = "cluster.release_channel must be REGULAR or STABLE: RAPID is for trying versions out, and no channel means no upgrades."
  }

  validation {
    condition     = length(var.cluster.zones) >= 2 && alltrue([for zone in var.cluster.zones : startswith(zone, "${var.region}-")])
    error_message = "cluster.zones must be two or more zones of the region, such as europe-west1-b."
  }

  validation {
    condition     = alltrue([for cidr in values(var.cluster.authorized_networks) : can(cidrhost(cidr, 0)) && can(regex("/(8|9|[12][0-9]|3[0-2])$", cidr))])
    error_message = "cluster.authorized_networks must be IPv4 ranges of /8 or narrower, such as 203.0.113.0/24: the whole internet is not one."
  }

  validation {
    condition     = var.cluster.security_group == null || can(regex("^gke-security-groups@", var.cluster.security_group))
    error_message = "cluster.security_group must be gke-security-groups@ and the domain: GKE takes no other name."
  }
}

variable "database" {
  description = "Cloud SQL for PostgreSQL: version, machine, disk (GB), whether a second zone stands by, and what backups are kept."

  type = object({
    disk_gb           = optional(number, 20)
    disk_limit_gb     = optional(number, 200)
    high_availability = optional(bool, false)
    log_days          = optional(number, 7)
    retained_backups  = optional(number, 14)
    tier              = optional(string, "db-custom-1-3840")
    version           = optional(string, "POSTGRES_17")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^POSTGRES_(1[5-9]|[2-9][0-9])$", var.database.version))
    error_message = "database.version must be POSTGRES_15 or later."
  }

  validation {
    condition     = can(regex("^db-custom-[0-9]+-[0-9]+$", var.database.tier))
    error_message = "database.tier must be db-custom-CPUS-MEGABYTES: shared-core machines have no service level."
  }

  validation {
    condition     = var.database.disk_gb >= 10 && var.database.disk_limit_gb >= var.database.disk_gb
    error_message = "database.disk_gb must be at least 10, and database.disk_limit_gb no less than it (0, no limit, is not taken)."
  }

  validation {
    condition     = var.database.log_days >= 1 && var.database.log_days <= 7 && var.database.retained_backups >= var.database.log_days
    error_message = "database.log_days must be from 1 to 7, and database.retained_backups no fewer: a log is of use only with the backup before it."
  }
}

variable "deletion_protection" {
  description = "Whether the cluster, the database and full buckets refuse to be destroyed. Only production has it."
  type        = bool
  nullable    = false

  validation {
    condition     = var.deletion_protection == (var.environment == "production")
    error_message = "deletion_protection must be true in production and false elsewhere, so that everything else can be torn down."
  }
}

variable "environment" {
  description = "Which environment this is: part of names and labels."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["production", "staging"], var.environment)
    error_message = "environment must be production or staging."
  }
}

variable "generation" {
  description = "Raised by one each time the environment is built again after a tear-down (main.tf says why)."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.generation >= 1 && var.generation <= 99 && floor(var.generation) == var.generation
    error_message = "generation must be a whole number from 1 to 99."
  }
}

variable "github" {
  description = <<-EOT
    The one repository whose workflows may sign in, by name and by number (gh api repos/OWNER/NAME), and the lanes this environment has:
    plan (pull requests: read), build (pushes to build_ref: push and sign), release (a protected environment from a tag: push and sign).
  EOT

  type = object({
    build_ref           = optional(string, "refs/heads/main")
    lanes               = set(string)
    owner_id            = string
    release_environment = optional(string, "production")
    release_ref_prefix  = optional(string, "refs/tags/v")
    repository          = string
    repository_id       = string
  })
  nullable = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github.repository))
    error_message = "github.repository must be OWNER/NAME, with no * in it."
  }

  validation {
    condition     = can(regex("^[1-9][0-9]*$", var.github.repository_id)) && can(regex("^[1-9][0-9]*$", var.github.owner_id))
    error_message = "github.repository_id and github.owner_id must be GitHub's numbers, in quotes."
  }

  validation {
    condition     = length(setsubtract(var.github.lanes, ["build", "plan", "release"])) == 0
    error_message = "github.lanes must be among build, plan and release."
  }

  validation {
    condition     = can(regex("^refs/(heads|tags)/[A-Za-z0-9._/-]+$", var.github.build_ref)) && can(regex("^refs/tags/[A-Za-z0-9._/-]+$", var.github.release_ref_prefix))
    error_message = "github.build_ref must be one whole ref (refs/heads/main), and github.release_ref_prefix must begin with refs/tags/ and go on."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.github.release_environment))
    error_message = "github.release_environment must be a name of letters, digits, dots, dashes and underscores."
  }
}

variable "key_protection_level" {
  description = "Where the keys live: SOFTWARE, or HSM for keys that never leave their hardware."
  type        = string
  default     = "SOFTWARE"
  nullable    = false

  validation {
    condition     = contains(["HSM", "SOFTWARE"], var.key_protection_level)
    error_message = "key_protection_level must be HSM or SOFTWARE."
  }
}

variable "labels" {
  description = "Labels beside app, environment and managed_by, such as the team and the cost centre."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))
    ])
    error_message = "labels must have keys and values of at most 63 lower-case letters, digits, dashes and underscores, and keys that begin with a letter."
  }

  validation {
    condition     = length(setintersection(keys(var.labels), ["app", "environment", "managed_by"])) == 0
    error_message = "labels must not hold app, environment or managed_by: those are set for you."
  }
}

variable "namespaces" {
  description = "Kubernetes namespaces of the workloads. An identity is lent to one account in one of them, so they must be the overlay's."

  type = object({
    pipelines = optional(string, "kubeflow")
    platform  = optional(string, "lifeboat-platform")
    serving   = optional(string, "lifeboat")
    tracking  = optional(string, "mlflow")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in values(var.namespaces) : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", name))])
    error_message = "namespaces must be Kubernetes names: lower-case letters, digits and dashes, at most 63."
  }

  validation {
    condition     = alltrue([for name in values(var.namespaces) : !contains(["default", "kube-public", "kube-system"], name)])
    error_message = "namespaces must not be default, kube-public or kube-system: anyone who may run a pod there would get the identity."
  }
}

variable "network" {
  description = "Ranges that overlap with nothing they will be peered with, and the share of flows that is logged."

  type = object({
    control_plane_cidr   = optional(string, "172.16.0.0/28")
    flow_log_sampling    = optional(number, 0.5)
    google_services_cidr = optional(string, "10.64.0.0/20")
    nodes_cidr           = optional(string, "10.0.0.0/22")
    pods_cidr            = optional(string, "10.16.0.0/16")
    services_cidr        = optional(string, "10.32.0.0/20")
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for cidr in [
        var.network.control_plane_cidr, var.network.google_services_cidr, var.network.nodes_cidr, var.network.pods_cidr, var.network.services_cidr,
      ] : can(cidrhost(cidr, 0)) && can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", cidr))
    ])
    error_message = "network's ranges must be private IPv4 ranges, such as 10.0.0.0/22."
  }

  validation {
    condition     = endswith(var.network.control_plane_cidr, "/28")
    error_message = "network.control_plane_cidr must be a /28: GKE takes no other size."
  }

  validation {
    condition     = can(regex("/(1[6-9]|2[0-4])$", var.network.google_services_cidr))
    error_message = "network.google_services_cidr must be from /16 to /24: Cloud SQL takes no less."
  }

  validation {
    condition     = var.network.flow_log_sampling > 0 && var.network.flow_log_sampling <= 1
    error_message = "network.flow_log_sampling must be above 0 and up to 1: flow logs are never off."
  }
}

variable "node_pools" {
  description = <<-EOT
    The pools system (what runs the platform), pipelines (steps of a run) and serving (models). min_nodes and max_nodes are totals over
    the region. A tainted pool takes only pods that tolerate lifeboat.dev/pool=NAME:NoSchedule.
  EOT

  type = map(object({
    disk_gb      = optional(number, 100)
    disk_type    = optional(string, "pd-balanced")
    machine_type = string
    max_nodes    = number
    min_nodes    = number
    spot         = optional(bool, false)
    tainted      = optional(bool, false)
  }))
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.node_pools), ["pipelines", "serving", "system"])) == 0 && length(var.node_pools) == 3
    error_message = "node_pools must be exactly pipelines, serving and system."
  }

  validation {
    condition     = alltrue([for pool in values(var.node_pools) : pool.min_nodes >= 0 && pool.max_nodes >= max(1, pool.min_nodes) && pool.max_nodes <= 50])
    error_message = "node_pools must have 0 <= min_nodes <= max_nodes, and max_nodes from 1 to 50."
  }

  validation {
    condition     = try(!var.node_pools["system"].spot && !var.node_pools["system"].tainted && var.node_pools["system"].min_nodes >= 2, false)
    error_message = "node_pools.system must be neither spot nor tainted and have at least 2 nodes: it holds what everything else needs."
  }

  validation {
    condition     = try(var.node_pools["pipelines"].tainted && var.node_pools["pipelines"].min_nodes == 0, false)
    error_message = "node_pools.pipelines must be tainted and start from 0 nodes, so that it costs nothing between runs."
  }

  validation {
    condition     = try(!var.node_pools["serving"].spot && var.node_pools["serving"].min_nodes >= length(var.cluster.zones), false)
    error_message = "node_pools.serving must not be spot and must have at least one node for each zone: a zone may fail, and answers go on."
  }

  validation {
    condition     = alltrue([for pool in values(var.node_pools) : pool.disk_gb >= 50 && contains(["hyperdisk-balanced", "pd-balanced", "pd-ssd"], pool.disk_type)])
    error_message = "node_pools must have disk_gb of at least 50 and disk_type hyperdisk-balanced, pd-balanced or pd-ssd."
  }
}

variable "project_id" {
  description = "The Google Cloud project: one for each environment."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project's id: 6 to 30 lower-case letters, digits and dashes, beginning with a letter."
  }
}

variable "region" {
  description = "Where everything is, backups and keys too."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region must be a region, such as europe-west1, not a zone."
  }
}

variable "registry" {
  description = "Images: how many days and how many of the last builds are kept beside releases, and which service accounts read them from elsewhere."

  type = object({
    build_days  = optional(number, 90)
    kept_builds = optional(number, 20)
    readers     = optional(set(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.registry.build_days >= 7 && var.registry.kept_builds >= 5
    error_message = "registry.build_days must be at least 7 and registry.kept_builds at least 5: what runs must not be cleaned away."
  }

  validation {
    condition     = alltrue([for email in var.registry.readers : endswith(email, ".gserviceaccount.com")])
    error_message = "registry.readers must be service accounts' addresses."
  }
}

variable "storage" {
  description = "Days: until an old version of an object goes, until an object becomes NEARLINE, a pipeline run's files live, a deleted object can be had back."

  type = object({
    nearline_days     = optional(number, 90)
    noncurrent_days   = optional(number, 30)
    pipeline_run_days = optional(number, 90)
    soft_delete_days  = optional(number, 7)
  })
  default  = {}
  nullable = false

  validation {
    condition     = min(var.storage.nearline_days, var.storage.noncurrent_days, var.storage.pipeline_run_days) >= 7
    error_message = "storage.nearline_days, storage.noncurrent_days and storage.pipeline_run_days must be at least 7."
  }

  validation {
    condition     = var.storage.soft_delete_days >= 7 && var.storage.soft_delete_days <= 90
    error_message = "storage.soft_delete_days must be from 7 to 90."
  }
}
