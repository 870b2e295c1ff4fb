// A plugin for Mosquitto 2 that checks reader tokens (docs/tokens.md). A client whose password is a reader token can
// read the topics of the token and has no other rights. For a client without a token, the broker's other rules apply.
//
// The plugin disconnects a reader whose token has expired, if the token asks for that: the reader may have lost its
// right.
//
// The only option is plugin_opt_secret_file. The plugin reads the file again when the broker reloads (SIGHUP). No
// exception reaches the broker. If an authentication or an access check fails, the client is refused. If a reload
// fails, the plugin keeps the last key.
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "core/token/secret_file.h"
#include "reader_token.h"

namespace sealcast::broker {
namespace {

class Plugin {
 public:
  Plugin(mosquitto_plugin_id_t* broker, std::string secret_file)
      : broker_(broker), secret_file_(std::move(secret_file)), key_(read_key()) {}

  ~Plugin() {
    for (const Callback& callback : callbacks()) {
      mosquitto_callback_unregister(broker_, callback.event, callback.function, nullptr);
    }
  }

  void listen() {
    for (const Callback& callback : callbacks()) {
      if (mosquitto_callback_register(broker_, callback.event, callback.function, nullptr, this) != MOSQ_ERR_SUCCESS) {
        throw std::runtime_error("the broker does not accept the plugin's callbacks");
      }
    }
  }

 private:
  struct Reader {
    ReaderToken token;
    std::string client_id;
  };
  struct Callback {
    int event;
    MOSQ_FUNC_generic_callback function;
  };

  core::HmacKey read_key() const {
    return core::HmacKey(core::token::read_signing_secret("plugin_opt_secret_file", secret_file_));
  }

  int reload(const mosquitto_evt_reload&) {
    key_ = read_key();
    return MOSQ_ERR_SUCCESS;
  }

  int connect(const mosquitto_evt_basic_auth& event) {
    readers_.erase(event.client);  // an entry of an earlier client with this address in memory
    const auto jwt = event.password == nullptr ? std::nullopt : core::token::parse_jwt(event.password);
    if (!jwt) return MOSQ_ERR_PLUGIN_DEFER;
    auto [token, problem] = verify_reader_token(*jwt, key_, std::time(nullptr));
    if (!token) {
      mosquitto_log_printf(MOSQ_LOG_NOTICE, "sealcast_tokens: refused the token of client %s: %s",
                           mosquitto_client_id(event.client), problem);
      return MOSQ_ERR_AUTH;
    }
    if (token->ends_connection) ends_.emplace(token->expires_at, event.client);
    readers_.emplace(event.client, Reader{std::move(*token), mosquitto_client_id(event.client)});
    return MOSQ_ERR_SUCCESS;
  }

  int check(const mosquitto_evt_acl_check& event) {
    const auto reader = readers_.find(event.client);
    if (reader == readers_.end()) return MOSQ_ERR_PLUGIN_DEFER;
    const ReaderToken& token = reader->second.token;
    if (event.access == MOSQ_ACL_UNSUBSCRIBE) return MOSQ_ERR_SUCCESS;
    // Expiry does not end an existing subscription to what everybody may read, just as it does not end such an event
    // stream of sealcastd. So only new subscriptions check the expiry.
    const bool may_act =
        event.access == MOSQ_ACL_READ || (event.access == MOSQ_ACL_SUBSCRIBE && std::time(nullptr) < token.expires_at);
    if (!may_act || event.topic == nullptr) return MOSQ_ERR_ACL_DENIED;
    const bool is_in_token = std::find(token.topics.begin(), token.topics.end(), event.topic) != token.topics.end();
    return is_in_token ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
  }

  int disconnect(const mosquitto_evt_disconnect& event) {
    readers_.erase(event.client);
    return MOSQ_ERR_SUCCESS;
  }

  // The broker calls this in each turn of its loop, several times per second.
  int end_expired(const mosquitto_evt_tick&) {
    const std::int64_t now = std::time(nullptr);
    while (!ends_.empty() && ends_.begin()->first <= now) {
      const mosquitto* client = ends_.begin()->second;
      ends_.erase(ends_.begin());
      const auto reader = readers_.find(client);
      // Otherwise the client has gone, and perhaps another one has its address in memory.
      if (reader == readers_.end() || !reader->second.token.ends_connection || reader->second.token.expires_at > now) {
        continue;
      }
      const std::string client_id = reader->second.client_id;  // the broker calls disconnect(), which erases `reader`
      mosquitto_kick_client_by_clientid(client_id.c_str(), false);
    }
    return MOSQ_ERR_SUCCESS;
  }

  // The boundary between the broker, which is C code, and C++: calls `Handler`. If it throws, logs the exception and
  // returns `Refusal`.
  template <typename Event, int (Plugin::*Handler)(const Event&), int Refusal>
  static int guarded(int, void* event, void* plugin) noexcept {
    try {
      return (static_cast<Plugin*>(plugin)->*Handler)(*static_cast<const Event*>(event));
    } catch (const std::exception& error) {
      mosquitto_log_printf(MOSQ_LOG_ERR, "sealcast_tokens: %s", error.what());
    } catch (...) {
    }
    return Refusal;
  }

  static std::array<Callback, 5> callbacks() {
    return {{
        {MOSQ_EVT_RELOAD,
         guarded<mosquitto_evt_reload, &Plugin::reload, MOSQ_ERR_SUCCESS>},  // the plugin keeps the last key
        {MOSQ_EVT_BASIC_AUTH, guarded<mosquitto_evt_basic_auth, &Plugin::connect, MOSQ_ERR_AUTH>},
        {MOSQ_EVT_ACL_CHECK, guarded<mosquitto_evt_acl_check, &Plugin::check, MOSQ_ERR_ACL_DENIED>},
        {MOSQ_EVT_DISCONNECT, guarded<mosquitto_evt_disconnect, &Plugin::disconnect, MOSQ_ERR_SUCCESS>},
        {MOSQ_EVT_TICK, guarded<mosquitto_evt_tick, &Plugin::end_expired, MOSQ_ERR_SUCCESS>},
    }};
  }

  mosquitto_plugin_id_t* const broker_;
  const std::string secret_file_;
  core::HmacKey key_;
  std::unordered_map<const mosquitto*, Reader> readers_;
  std::multimap<std::int64_t, const mosquitto*> ends_;  // by the expiry of the token; may name clients that have gone
};

std::string secret_file_of(const mosquitto_opt* options, int count) {
  std::string file;
  for (const mosquitto_opt* option = options; option != options + count; ++option) {
    if (std::string_view(option->key) != "secret_file") {
      throw std::runtime_error("unknown option plugin_opt_" + std::string(option->key) +
                               "; the only option is plugin_opt_secret_file");
    }
    file = option->value;
  }
  if (file.empty()) throw std::runtime_error("plugin_opt_secret_file is missing; name the file with the secret");
  return file;
}

}  // namespace
}  // namespace sealcast::broker

extern "C" {

int mosquitto_plugin_version(int count, const int* versions) {
  return std::find(versions, versions + count, MOSQ_PLUGIN_VERSION) == versions + count ? -1 : MOSQ_PLUGIN_VERSION;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t* broker, void** plugin, mosquitto_opt* options, int count) {
  try {
    auto made = std::make_unique<sealcast::broker::Plugin>(broker, sealcast::broker::secret_file_of(options, count));
    made->listen();
    *plugin = made.release();
    return MOSQ_ERR_SUCCESS;
  } catch (const std::exception& error) {
    mosquitto_log_printf(MOSQ_LOG_ERR, "sealcast_tokens: %s", error.what());
  } catch (...) {
  }
  return MOSQ_ERR_UNKNOWN;
}

int mosquitto_plugin_cleanup(void* plugin, mosquitto_opt*, int) {
  delete static_cast<sealcast::broker::Plugin*>(plugin);
  return MOSQ_ERR_SUCCESS;
}

}  // extern "C"
