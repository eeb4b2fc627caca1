# What must hold in every environment. Run once with each environment's file:
#   terraform test -filter=tests/hardened.tftest.hcl -var-file=environments/staging.tfvars
# The provider is a stand-in that knows the real one's schema; nothing is made.

mock_provider "google" {
  source = "./tests/mocks"
}

run "planned" {
  command = plan

  # the cluster

  assert {
    condition     = google_container_cluster.this.location == var.region && length(google_container_cluster.this.node_locations) >= 2
    error_message = "The cluster must be regional, over two zones or more."
  }

  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_nodes
    error_message = "Nodes must be private."
  }

  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_endpoint == var.cluster.private_endpoint
    error_message = "The private endpoint must be as asked."
  }

  assert {
    condition     = !google_container_cluster.this.master_authorized_networks_config[0].gcp_public_cidrs_access_enabled
    error_message = "Google's public ranges must not reach the control plane."
  }

  assert {
    condition     = google_container_cluster.this.datapath_provider == "ADVANCED_DATAPATH"
    error_message = "The cluster must use Dataplane V2."
  }

  assert {
    condition     = google_container_cluster.this.networking_mode == "VPC_NATIVE"
    error_message = "The cluster must be VPC-native."
  }

  assert {
    condition     = google_container_cluster.this.workload_identity_config[0].workload_pool == "${var.project_id}.svc.id.goog"
    error_message = "Workload Identity must be on."
  }

  assert {
    condition     = google_container_cluster.this.enable_shielded_nodes && !google_container_cluster.this.enable_legacy_abac
    error_message = "Nodes must be shielded, and ABAC off."
  }

  assert {
    condition     = !google_container_cluster.this.master_auth[0].client_certificate_config[0].issue_client_certificate
    error_message = "No client certificate may be issued."
  }

  assert {
    condition     = google_container_cluster.this.anonymous_authentication_config[0].mode == "LIMITED"
    error_message = "Anonymous requests must be limited to health checks."
  }

  assert {
    condition     = google_container_cluster.this.binary_authorization[0].evaluation_mode == "PROJECT_SINGLETON_POLICY_ENFORCE"
    error_message = "Binary Authorization must be on."
  }

  assert {
    condition     = google_container_cluster.this.database_encryption[0].state == "ENCRYPTED"
    error_message = "etcd must be encrypted with our key."
  }

  assert {
    condition     = google_container_cluster.this.cost_management_config[0].enabled
    error_message = "Cost allocation must be on."
  }

  assert {
    condition     = google_container_cluster.this.addons_config[0].gke_backup_agent_config[0].enabled
    error_message = "The backup agent must be on."
  }

  assert {
    condition     = contains(["REGULAR", "STABLE"], google_container_cluster.this.release_channel[0].channel)
    error_message = "The cluster must be on a release channel."
  }

  assert {
    condition     = contains(google_container_cluster.this.logging_config[0].enable_components, "APISERVER") && contains(google_container_cluster.this.monitoring_config[0].enable_components, "SYSTEM_COMPONENTS")
    error_message = "Google's logging and monitoring of the control plane must be on."
  }

  assert {
    condition     = google_container_cluster.this.remove_default_node_pool
    error_message = "The default node pool must go."
  }

  assert {
    condition     = google_container_cluster.this.deletion_protection == (var.environment == "production")
    error_message = "Only production is protected from deletion."
  }

  # node pools

  assert {
    condition     = toset(keys(google_container_node_pool.this)) == toset(["pipelines", "serving", "system"])
    error_message = "There must be three pools."
  }

  assert {
    condition = alltrue([
      for pool in google_container_node_pool.this :
      pool.node_config[0].shielded_instance_config[0].enable_secure_boot && pool.node_config[0].shielded_instance_config[0].enable_integrity_monitoring
    ])
    error_message = "Every node must boot securely."
  }

  assert {
    condition     = alltrue([for pool in google_container_node_pool.this : pool.node_config[0].workload_metadata_config[0].mode == "GKE_METADATA"])
    error_message = "No pod may see its node's identity."
  }

  assert {
    condition     = alltrue([for pool in google_container_node_pool.this : pool.node_config[0].metadata["disable-legacy-endpoints"] == "true"])
    error_message = "The old metadata endpoints must be off."
  }

  assert {
    condition     = alltrue([for pool in google_container_node_pool.this : pool.node_config[0].kubelet_config[0].insecure_kubelet_readonly_port_enabled == "FALSE"])
    error_message = "The kubelet's read-only port must be closed."
  }

  assert {
    condition     = alltrue([for pool in google_container_node_pool.this : pool.management[0].auto_repair && pool.management[0].auto_upgrade])
    error_message = "Nodes must be repaired and upgraded by themselves."
  }

  assert {
    condition = (
      google_container_node_pool.this["pipelines"].autoscaling[0].total_min_node_count == 0
      && google_container_node_pool.this["pipelines"].node_config[0].spot
      && google_container_node_pool.this["pipelines"].node_config[0].taint[0].effect == "NO_SCHEDULE"
    )
    error_message = "The pool pipelines must be spot, tainted and start from zero."
  }

  assert {
    condition = (
      google_container_node_pool.this["serving"].autoscaling[0].location_policy == "BALANCED"
      && google_container_node_pool.this["serving"].autoscaling[0].total_min_node_count >= length(google_container_node_pool.this["serving"].node_locations)
      && !google_container_node_pool.this["serving"].node_config[0].spot
    )
    error_message = "The pool serving must be balanced over the zones, with a node in each."
  }

  # network

  assert {
    condition     = !google_compute_network.this.auto_create_subnetworks && google_compute_subnetwork.nodes.private_ip_google_access
    error_message = "The one subnet is ours and reaches Google's APIs privately."
  }

  assert {
    condition     = google_compute_subnetwork.nodes.log_config[0].flow_sampling > 0
    error_message = "Flows must be logged."
  }

  assert {
    condition     = google_compute_router_nat.this.log_config[0].enable
    error_message = "NAT must log."
  }

  assert {
    condition     = google_compute_firewall.webhooks.source_ranges == toset([var.network.control_plane_cidr])
    error_message = "Only the control plane may reach the webhooks' ports."
  }

  # data

  assert {
    condition     = toset(keys(google_storage_bucket.this)) == toset(["bundles", "data", "mlflow", "pipelines"])
    error_message = "There must be a bucket for each kind of data."
  }

  assert {
    condition = alltrue([
      for bucket in google_storage_bucket.this :
      bucket.public_access_prevention == "enforced" && bucket.uniform_bucket_level_access && bucket.versioning[0].enabled
    ])
    error_message = "Buckets must be private, uniform in access and versioned."
  }

  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : bucket.force_destroy == (var.environment != "production")])
    error_message = "Only staging's full buckets may be destroyed."
  }

  assert {
    condition     = !google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled
    error_message = "The database must have no public address."
  }

  assert {
    condition     = google_sql_database_instance.this.settings[0].connector_enforcement == "REQUIRED" && google_sql_database_instance.this.settings[0].ip_configuration[0].ssl_mode == "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    error_message = "The database must take connections through Cloud SQL's proxy only."
  }

  assert {
    condition     = google_sql_database_instance.this.settings[0].backup_configuration[0].enabled && google_sql_database_instance.this.settings[0].backup_configuration[0].point_in_time_recovery_enabled
    error_message = "The database must be backed up, to any point in time."
  }

  assert {
    condition     = alltrue([for user in google_sql_user.this : user.type == "CLOUD_IAM_SERVICE_ACCOUNT"])
    error_message = "No database user may have a password."
  }

  assert {
    condition     = [for name, user in google_sql_user.this : name if user.database_roles != null] == ["database-admin"]
    error_message = "Only database-admin may be a superuser."
  }

  assert {
    condition     = google_artifact_registry_repository.images.docker_config[0].immutable_tags && google_artifact_registry_repository.images.vulnerability_scanning_config[0].enablement_config == "INHERITED"
    error_message = "Tags must not move, and images must be scanned."
  }

  # labels

  assert {
    condition = alltrue([
      for labels in concat(
        [
          google_artifact_registry_repository.images.labels,
          google_compute_global_address.google_services.labels,
          google_container_cluster.this.resource_labels,
          google_gke_backup_backup_plan.this.labels,
          google_kms_crypto_key.attestor.labels,
          google_sql_database_instance.this.settings[0].user_labels,
        ],
        values(google_kms_crypto_key.this)[*].labels,
        values(google_secret_manager_secret.s3_key)[*].labels,
        values(google_storage_bucket.this)[*].labels,
        [for pool in google_container_node_pool.this : pool.node_config[0].resource_labels],
      ) : labels["app"] == "lifeboat" && labels["environment"] == var.environment && labels["managed_by"] == "terraform"
    ])
    error_message = "Everything that can bear labels must say app, environment and managed_by."
  }
}

# Applied to the stand-in, so that what is only known afterwards can be compared too.
run "applied" {
  command = apply

  # who may do what

  assert {
    condition = alltrue([
      for name, grant in google_service_account_iam_member.workload_identity :
      grant.role == "roles/iam.workloadIdentityUser" && can(regex("^serviceAccount:${var.project_id}\\.svc\\.id\\.goog\\[[a-z0-9-]+/[a-z0-9-]+\\]$", grant.member))
    ])
    error_message = "Each identity must be lent to one Kubernetes account in one namespace."
  }

  assert {
    condition     = length(distinct(flatten([for spec in local.workloads : [for account in spec.accounts : "${spec.namespace}/${account}"]]))) == length(flatten([for spec in local.workloads : spec.accounts]))
    error_message = "No Kubernetes account may have two identities."
  }

  assert {
    condition = alltrue([
      for grant in values(google_storage_bucket_iam_member.workload)[*].role :
      contains(["roles/storage.objectCreator", "roles/storage.objectUser", "roles/storage.objectViewer"], grant)
    ])
    error_message = "No workload may administer a bucket."
  }

  assert {
    condition     = [for name, grant in google_storage_bucket_iam_member.workload : grant.role if startswith(name, "model-server ")] == ["roles/storage.objectViewer"]
    error_message = "The model server must read bundles and do nothing else."
  }

  assert {
    condition     = alltrue([for name, grant in google_storage_bucket_iam_member.workload : grant.role != "roles/storage.objectUser" if strcontains(name, " bundles")])
    error_message = "No workload may replace or delete a bundle."
  }

  assert {
    condition = toset([for name, grant in google_storage_bucket_iam_member.workload : name if startswith(name, "drift-detector ")]) == toset([
      "drift-detector add bundles labelled/", "drift-detector read bundles bundles/", "drift-detector read bundles labelled/",
    ])
    error_message = "The drift detector must read bundles and labelled rows, add labelled rows, and do nothing else."
  }

  assert {
    condition = alltrue([
      for name, grant in google_storage_bucket_iam_member.workload :
      length(grant.condition) == 1 && alltrue([
        for part in grant.condition : strcontains(part.expression, "/objects/${split(" ", name)[3]}')") && strcontains(part.expression, ".startsWith('${split(" ", name)[3]}')")
      ])
      if length(split(" ", name)) == 4
    ])
    error_message = "A grant on a prefix must be held to its objects and its listings."
  }

  assert {
    condition     = alltrue([for name in keys(google_storage_bucket_iam_member.workload) : length(split(" ", name)) == 4 if strcontains(name, " bundles") && !startswith(name, "pipeline read ")])
    error_message = "Only the pipeline may read the whole store: the others are held to bundles or to labelled rows."
  }

  assert {
    condition     = alltrue([for grant in google_project_iam_member.database : length(grant.condition) == 1])
    error_message = "Rights on Cloud SQL must be held to our instance."
  }

  assert {
    condition = length(setintersection(
      ["roles/editor", "roles/owner", "roles/viewer"],
      concat([google_project_iam_member.nodes.role], values(google_project_iam_member.github_plan)[*].role, values(google_project_iam_member.github_attest)[*].role),
    )) == 0
    error_message = "No account may have a basic role."
  }

  assert {
    condition = (
      strcontains(google_iam_workload_identity_pool_provider.github.attribute_condition, "assertion.repository_id == '${var.github.repository_id}'")
      && strcontains(google_iam_workload_identity_pool_provider.github.attribute_condition, "attribute.lane != 'none'")
      && google_iam_workload_identity_pool_provider.github.oidc[0].issuer_uri == "https://token.actions.githubusercontent.com"
    )
    error_message = "GitHub's tokens must be held to one repository and to the lanes."
  }

  assert {
    condition     = alltrue([for lane, grant in google_service_account_iam_member.github : endswith(grant.member, "/attribute.lane/${lane}")])
    error_message = "Each lane must reach its own account only."
  }

  assert {
    condition     = google_binary_authorization_policy.this.default_admission_rule[0].evaluation_mode == "REQUIRE_ATTESTATION"
    error_message = "An image must need an attestation."
  }

  assert {
    condition     = length(google_billing_budget.this) == 1
    error_message = "There must be a budget."
  }

  # how long things stay

  assert {
    condition     = alltrue([for name in ["bundles", "data", "mlflow"] : !anytrue([for rule in google_storage_bucket.this[name].lifecycle_rule : one(rule.action).type == "Delete" && one(rule.condition).with_state != "ARCHIVED"])])
    error_message = "Only old versions may be deleted from what must last."
  }

  assert {
    condition     = anytrue([for rule in google_storage_bucket.this["pipelines"].lifecycle_rule : one(rule.action).type == "Delete" && one(rule.condition).age == var.storage.pipeline_run_days])
    error_message = "What steps hand to one another must go after its days."
  }
}
