# What every file uses: names, labels and the project's number. The resources are in the files named for them.

locals {
  name = "lifeboat-${var.environment}"

  # Google keeps some names after a destroy: key rings for ever, identity pools for 30 days, SQL instances for a week.
  # Those carry the generation, so that an environment that was torn down can be built again: raise it by one.
  generation_name = "${local.name}-${var.generation}"

  labels = merge(var.labels, {
    app         = "lifeboat"
    environment = var.environment
    managed_by  = "terraform"
  })

  project_number = data.google_project.this.number

  # bootstrap.sh makes it under this name.
  state_bucket = "${var.project_id}-tfstate"
}

data "google_project" "this" {
  project_id = var.project_id
}
