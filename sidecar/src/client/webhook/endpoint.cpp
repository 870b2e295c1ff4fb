// Makes the calls, and keeps and logs the state of the backend.
#include "client/webhook/endpoint.h"

#include <utility>

namespace sealcast::client::webhook {
namespace {

constexpr int kManyLate = 3;

}  // namespace

asio::awaitable<Webhook::Answer> Endpoint::call(std::string id, std::string body) {
  if (gone_) co_return Webhook::Answer{.problem = problem_, .gone = true};
  Webhook::Answer answer = co_await webhook_.call(std::move(id), std::move(body));
  note(answer);
  co_return answer;
}

void Endpoint::note(const Webhook::Answer& answer) {
  late_ = answer.late ? late_ + 1 : 0;
  if (answer.gone) {
    if (std::exchange(gone_, true)) return;
    problem_ = "it answered 410: nothing is posted until SIGHUP or a restart";
    log::write(log::Level::error, log::tag::kDelivery,
               "the webhook answered 410: no events are posted to it until SIGHUP or a restart");
  } else if (answer.unavailable() || late_ >= kManyLate) {
    if (!std::exchange(problem_, answer.problem).empty()) return;
    log::write(log::Level::warn, log::tag::kDelivery, "the webhook is unavailable; its events wait in Postgres",
               {{"reason", std::string_view(answer.problem)}});
  } else {
    if (!gone_ && !answer.late && !std::exchange(problem_, std::string()).empty()) {
      log::write(log::Level::info, log::tag::kDelivery, "the webhook is available again");
    }
    if (!answer.problem.empty() && refusals_.allows()) {
      log::write(log::Level::warn, log::tag::kDelivery, "the webhook did not accept an event; retrying",
                 {{"reason", std::string_view(answer.problem)}});
    }
  }
}

void Endpoint::resume() {
  webhook_.read_secret_again();
  gone_ = false;
  problem_.clear();
}

}  // namespace sealcast::client::webhook
