// Reads a refused secret again, and logs that without the secret.
#include "base/secret.h"

#include <exception>
#include <string_view>
#include <utility>

#include "base/log.h"

namespace sealcast {

Secret::Secret(std::string text) : state_(std::make_shared<State>(State{.text = std::move(text)})) {}

Secret::Secret(std::string setting, std::string file, Read read) {
  std::string text = read(setting, file);
  state_ = std::make_shared<State>(
      State{.text = std::move(text), .setting = std::move(setting), .file = std::move(file), .read = read});
}

void Secret::read_again(const std::string& refused) const {
  if (!state_ || state_->file.empty() || state_->text != refused) return;
  State& state = *state_;
  try {
    std::string text = state.read(state.setting, state.file);
    state.unreadable = false;
    if (text == state.text) return;
    state.text = std::move(text);
  } catch (const std::exception& error) {
    if (!std::exchange(state.unreadable, true)) {
      log::write(log::Level::error, log::tag::kLifecycle,
                 "a secret was refused and its file cannot be read again; the last secret stays in use",
                 {{"reason", std::string_view(error.what())}});
    }
    return;
  }
  log::write(log::Level::info, log::tag::kLifecycle, "a secret file was read again",
             {{"setting", state.setting}, {"file", state.file}});
}

}  // namespace sealcast
