// A password or key that an outside service demands. A secret from a file is read again when the service refuses it, so
// that an operator can replace it while the process runs.
//
// The last secret stays in use until a service refuses it: so the file may be replaced before the service takes the new
// secret, or after. A file that cannot be read does not replace the last secret. Copies share the secret and its file.
#pragma once

#include <memory>
#include <string>

#include "core/token/secret_file.h"

namespace sealcast {

class Secret {
 public:
  // Reads and checks a secret. Throws SettingsError. `setting` is for its message.
  using Read = std::string (*)(const std::string& setting, const std::string& file);

  Secret() = default;                 // empty: the service demands none
  explicit Secret(std::string text);  // not from a file
  // Reads the file. Throws what `read` throws.
  Secret(std::string setting, std::string file, Read read = core::token::read_secret_file);

  bool empty() const { return !state_ || state_->text.empty(); }
  std::string text() const { return state_ ? state_->text : std::string(); }

  // Call it when a service has refused `refused`. Reads the file again, unless another caller has done so since
  // `refused` was read. Logs when the secret has changed, and when the file cannot be read.
  void read_again(const std::string& refused) const;

 private:
  struct State {
    std::string text;
    std::string setting{};
    std::string file{};  // empty: not from a file
    Read read = nullptr;
    bool unreadable = false;  // the log contains it already
  };

  std::shared_ptr<State> state_;
};

}  // namespace sealcast
