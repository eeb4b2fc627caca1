# A budget warns; it stops nothing.

resource "google_monitoring_notification_channel" "budget" {
  for_each = var.budget == null ? toset([]) : var.budget.emails

  display_name = "Lifeboat ${var.environment}: cost, ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
  user_labels  = local.labels

  depends_on = [google_project_service.this]
}

resource "google_billing_budget" "this" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "Lifeboat ${var.environment}"

  amount {
    specified_amount {
      currency_code = var.budget.currency
      units         = tostring(var.budget.monthly_amount)
    }
  }

  budget_filter {
    calendar_period        = "MONTH"
    credit_types_treatment = "EXCLUDE_ALL_CREDITS" # credits end; what they hid does not
    projects               = ["projects/${local.project_number}"]
  }

  dynamic "threshold_rules" {
    for_each = var.budget.thresholds

    content {
      threshold_percent = threshold_rules.value
      spend_basis       = "CURRENT_SPEND"
    }
  }

  # Says so before the month is over.
  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  # Without addresses the billing account's administrators hear of it, as they do with.
  dynamic "all_updates_rule" {
    for_each = length(var.budget.emails) > 0 ? [1] : []

    content {
      disable_default_iam_recipients   = false
      monitoring_notification_channels = [for channel in google_monitoring_notification_channel.budget : channel.id]
    }
  }

  depends_on = [google_project_service.this]
}
