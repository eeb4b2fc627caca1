# Changes to resources are always logged. Reads and writes of what the resources hold are not, unless asked for. Reads of
# objects are left out: the model server and the pipeline make most of them, and each line is billed.

locals {
  audited = {
    "cloudkms.googleapis.com"      = ["ADMIN_READ", "DATA_READ", "DATA_WRITE"]
    "cloudsql.googleapis.com"      = ["ADMIN_READ", "DATA_READ", "DATA_WRITE"] # pgAudit's lines are DATA_*
    "iam.googleapis.com"           = ["ADMIN_READ", "DATA_READ"]
    "secretmanager.googleapis.com" = ["ADMIN_READ", "DATA_READ", "DATA_WRITE"]
    "storage.googleapis.com"       = ["ADMIN_READ", "DATA_WRITE"]
    "sts.googleapis.com"           = ["DATA_READ", "DATA_WRITE"] # every exchange of a GitHub token
  }
}

resource "google_project_iam_audit_config" "this" {
  for_each = local.audited

  project = var.project_id
  service = each.key

  dynamic "audit_log_config" {
    for_each = each.value

    content {
      log_type = audit_log_config.value
    }
  }
}
