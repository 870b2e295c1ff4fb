// Posts the event message.sent to the operator's webhook: one call per message that a user has sent.
#pragma once

#include <memory>
#include <string_view>

#include "client/webhook/endpoint.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::webhooks {

inline constexpr std::string_view kName = "webhooks";  // of the transport, which carries all streams
inline constexpr std::string_view kMessageSent = "message.sent";

// `endpoint` must stay valid as long as the adapter.
std::unique_ptr<outside::Adapter> make_message_sent(client::webhook::Endpoint& endpoint);

// Returns the id and the body of the call for a frame; an empty id: there is none, because the system sent the message
// or its row is gone.
struct Call {
  std::string id;
  std::string body;
};
Call call_for(const Frame& frame);

}  // namespace sealcast::transport::webhooks
