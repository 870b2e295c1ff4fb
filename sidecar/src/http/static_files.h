// The demo room: files of one directory, and never one outside it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.h"

namespace sealcast::http {

class StaticFiles {
 public:
  // A page may load from its own origin alone, and connect to that and to `connect_origins`.
  StaticFiles(std::string directory, const std::vector<std::string>& connect_origins);

  // The file at this path of a URL; a directory's index.html.
  void answer(std::string_view path, Response& response) const;

 private:
  std::string directory_;
  std::string policy_;  // Content-Security-Policy
};

}  // namespace sealcast::http
