// Makes the parts that post events to the operator's backend.
#include "app/sidecar.h"
#include "client/webhook/secrets.h"

namespace sealcast::app {

std::unique_ptr<client::webhook::Endpoint> Sidecar::make_endpoint() const {
  const auto& own = settings_.webhooks;
  if (own.url.empty()) return nullptr;
  return std::make_unique<client::webhook::Endpoint>(
      context_.get_executor(),
      client::webhook::Webhook::Options{
          .url = own.url,
          .secret = Secret("webhooks.secret_file", own.secret_file, client::webhook::read_webhook_secrets),
          .ca_file = own.ca_file,
          .timeout = own.timeout,
          // message.sent makes up to delivery.max_in_flight calls beside those of the queue.
          .max_connections = static_cast<long>(own.max_in_flight + settings_.delivery.max_in_flight)});
}

std::unique_ptr<leader::webhooks::EventQueue> Sidecar::make_webhooks() {
  if (!endpoint_) return nullptr;
  return std::make_unique<leader::webhooks::EventQueue>(
      context_.get_executor(), leader::webhooks::EventQueue::Parts{.dsn = settings_.relay.dsn,
                                                                   .timeout = settings_.postgres.timeout,
                                                                   .metrics = metrics_,
                                                                   .leads = [this] { return relay_.leads(); },
                                                                   .endpoint = *endpoint_,
                                                                   .settings = settings_.webhooks});
}

}  // namespace sealcast::app
