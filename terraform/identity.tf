# A Google service account for each workload, lent to its Kubernetes service accounts by name, with the least it needs.
# Pods get short-lived tokens from Workload Identity.

locals {
  # bucket: role, or role and prefix. "read" lists and gets; "add" creates and cannot replace or delete; "write" does all.
  workloads = {
    database-admin = {
      namespace = var.namespaces.platform, accounts = ["database-admin"], database = true, s3_key = false, buckets = []
      purpose   = "grants the database to its workload, once (platform.sh)"
    }
    deploy = {
      namespace = var.namespaces.pipelines, accounts = ["deploy"], database = false, s3_key = true
      purpose   = "the pipeline's last step: rolls a bundle out"
      buckets   = [{ name = "bundles", role = "read", prefix = "bundles/" }]
    }
    drift-detector = {
      namespace = var.namespaces.serving, accounts = ["drift-detector"], database = false, s3_key = true
      purpose   = "compares requests with the rows a model was trained on"
      # The store is one bucket: bundles/USECASE/DIGEST/; of rows whose truth has come labelled/USECASE/; trust/, what was
      # decided about them; and forgotten/USECASE/, orders to forget somebody, which it confirms.
      buckets = [
        { name = "bundles", role = "read", prefix = "bundles/" },
        { name = "bundles", role = "read", prefix = "labelled/" },
        { name = "bundles", role = "add", prefix = "labelled/" },
        { name = "bundles", role = "read", prefix = "trust/" },
        { name = "bundles", role = "read", prefix = "forgotten/" },
        { name = "bundles", role = "add", prefix = "forgotten/" },
      ]
    }
    kfp = {
      namespace = var.namespaces.pipelines, database = false, s3_key = false
      purpose   = "Kubeflow Pipelines' own servers"
      accounts  = ["ml-pipeline", "ml-pipeline-ui"] # the API, and the user interface, which reads artifacts
      buckets   = [{ name = "pipelines", role = "write", prefix = "" }]
    }
    mlflow = {
      namespace = var.namespaces.tracking, accounts = ["mlflow"], database = true, s3_key = false
      purpose   = "runs, metrics, model versions"
      buckets   = [{ name = "mlflow", role = "write", prefix = "" }]
    }
    model-server = {
      namespace = var.namespaces.serving, accounts = ["model-server"], database = false, s3_key = true
      purpose   = "loads a bundle and answers"
      buckets   = [{ name = "bundles", role = "read", prefix = "bundles/" }]
    }
    # Kubeflow runs every step of a run under the run's one service account, so preprocess, train and evaluate share it.
    pipeline = {
      namespace = var.namespaces.pipelines, accounts = ["pipeline-runner"], database = false, s3_key = true
      purpose   = "the steps preprocess, train and evaluate"
      buckets = [
        { name = "bundles", role = "read", prefix = "" },        # labelled rows as well
        { name = "bundles", role = "add", prefix = "bundles/" }, # a bundle, once stored, is never changed
        { name = "bundles", role = "write", prefix = "trust/" }, # how many truths are in conflict, each time anew
        { name = "data", role = "read", prefix = "" },
        { name = "pipelines", role = "write", prefix = "" },
      ]
    }
    retrain-trigger = {
      namespace = var.namespaces.pipelines, accounts = ["retrain-trigger"], database = false, s3_key = false, buckets = []
      purpose   = "starts a run in the cluster; holds no right in the project"
    }
  }

  bucket_roles = {
    add   = "roles/storage.objectCreator"
    read  = "roles/storage.objectViewer"
    write = "roles/storage.objectUser"
  }

  bucket_grants = merge([
    for workload, spec in local.workloads : {
      for grant in spec.buckets :
      join(" ", compact([workload, grant.role, grant.name, grant.prefix])) => merge(grant, { workload = workload })
    }
  ]...)

  database_clients = toset([for name, spec in local.workloads : name if spec.database])
  s3_key_holders   = toset([for name, spec in local.workloads : name if spec.s3_key])
}

# Nodes.

resource "google_service_account" "nodes" {
  account_id   = "${local.name}-nodes"
  display_name = "Lifeboat ${var.environment}: GKE nodes"

  depends_on = [google_project_service.this]
}

# Logs, metrics and nothing else; images come by a grant on the one repository (registry.tf).
resource "google_project_iam_member" "nodes" {
  project = var.project_id
  role    = "roles/container.defaultNodeServiceAccount"
  member  = google_service_account.nodes.member
}

# Workloads.

resource "google_service_account" "workload" {
  for_each = local.workloads

  account_id   = "lifeboat-${each.key}"
  display_name = "Lifeboat ${var.environment}: ${each.key}"
  description  = each.value.purpose

  depends_on = [google_project_service.this]
}

resource "google_service_account_iam_member" "workload_identity" {
  for_each = merge([
    for workload, spec in local.workloads : {
      for account in spec.accounts : "${spec.namespace}/${account}" => workload
    }
  ]...)

  service_account_id = google_service_account.workload[each.value].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project_id}.svc.id.goog[${each.key}]"

  # The pool it names exists from the first cluster of the project on.
  depends_on = [google_container_cluster.this]
}

resource "google_storage_bucket_iam_member" "workload" {
  for_each = local.bucket_grants

  bucket = google_storage_bucket.this[each.value.name].name
  role   = local.bucket_roles[each.value.role]
  member = google_service_account.workload[each.value.workload].member

  # A listing is a request on the bucket, not on an object: it is let through by the prefix it asks for.
  dynamic "condition" {
    for_each = each.value.prefix == "" ? [] : [each.value]

    content {
      title       = "under ${condition.value.prefix}"
      description = "Objects and listings under ${condition.value.prefix} only"
      expression = join(" || ", [
        "resource.name.startsWith('projects/_/buckets/${google_storage_bucket.this[condition.value.name].name}/objects/${condition.value.prefix}')",
        "api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('${condition.value.prefix}')",
      ])
    }
  }
}

# Both roles exist for projects only. The condition holds them to our instance.
resource "google_project_iam_member" "database" {
  for_each = {
    for pair in setproduct(local.database_clients, ["roles/cloudsql.client", "roles/cloudsql.instanceUser"]) :
    "${pair[0]} ${pair[1]}" => { workload = pair[0], role = pair[1] }
  }

  project = var.project_id
  role    = each.value.role
  member  = google_service_account.workload[each.value.workload].member

  condition {
    title       = "one instance"
    description = "Lifeboat's own instance"
    expression  = "resource.service == 'sqladmin.googleapis.com' && resource.name == 'projects/${var.project_id}/instances/${google_sql_database_instance.this.name}'"
  }
}
