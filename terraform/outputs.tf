output "attestor" {
  description = "Attestor that CI signs images for"
  value       = google_binary_authorization_attestor.ci.id
}

output "attestor_key_version" {
  description = "Key version that CI signs with"
  value       = data.google_kms_crypto_key_version.attestor.name # its id begins with //cloudkms.googleapis.com/v1/
}

output "backup_plan" {
  description = "Backup plan of the cluster"
  value       = google_gke_backup_backup_plan.this.id
}

output "buckets" {
  description = "Name of each bucket"
  value       = { for name, bucket in google_storage_bucket.this : name => bucket.name }
}

output "cluster_name" {
  description = "Name of the cluster"
  value       = google_container_cluster.this.name
}

output "credentials_command" {
  description = "Command that gives kubectl its way in"
  value = join(" ", compact([
    "gcloud container clusters get-credentials ${google_container_cluster.this.name}",
    "--project ${var.project_id} --region ${var.region}",
    var.cluster.dns_endpoint ? "--dns-endpoint" : var.cluster.private_endpoint ? "--internal-ip" : "",
  ]))
}

output "database_connection" {
  description = "What Cloud SQL's proxy connects to"
  value       = google_sql_database_instance.this.connection_name
}

output "database_private_ip" {
  description = "The instance's address in our network"
  value       = google_sql_database_instance.this.private_ip_address
}

output "database_users" {
  description = "PostgreSQL user of each workload that has one"
  value       = { for name, user in google_sql_user.this : name => user.name }
}

output "disk_key" {
  description = "Key of the nodes' disks, for the storage class of the volumes"
  value       = google_kms_crypto_key.this["disks"].id
}

output "github_provider" {
  description = "workload_identity_provider of google-github-actions/auth"
  value       = google_iam_workload_identity_pool_provider.github.name
}

output "github_repository" {
  description = "The repository, OWNER/NAME"
  value       = var.github.repository
}

output "github_service_accounts" {
  description = "service_account of google-github-actions/auth, for each lane"
  value       = { for lane, account in google_service_account.github : lane => account.email }
}

output "google_services_cidr" {
  description = "Where Cloud SQL is in our network"
  value       = var.network.google_services_cidr
}

output "project_id" {
  description = "The project"
  value       = var.project_id
}

output "region" {
  description = "The region"
  value       = var.region
}

output "registry" {
  description = "Prefix of an image's name"
  value       = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images.repository_id}"
}

output "s3_secrets" {
  description = "Secret Manager's secret that holds each workload's key to the buckets"
  value       = { for name, secret in google_secret_manager_secret.s3_key : name => secret.secret_id }
}

output "workload_service_accounts" {
  description = "For each workload: its Google service account, and the Kubernetes service accounts to annotate with it"
  value = {
    for name, spec in local.workloads : name => {
      email            = google_service_account.workload[name].email
      namespace        = spec.namespace
      service_accounts = spec.accounts
    }
  }
}
