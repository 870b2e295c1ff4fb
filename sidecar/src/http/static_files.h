// Serves the files of one directory, and no file outside of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.h"

namespace sealcast::http {

class StaticFiles {
 public:
  // The header Content-Security-Policy of the answers lets a page load resources only from its own origin, and connect
  // only to its own origin and to `connect_origins`.
  StaticFiles(std::string directory, const std::vector<std::string>& connect_origins);

  // Answers with the file at `path`, the path of a URL. If `path` names a directory, answers with its index.html.
  // Answers 404 if there is no such file, if the file is hidden, or if it has more than 8 MiB.
  void answer(std::string_view path, Response& response) const;

 private:
  std::string directory_;
  std::string policy_;  // Content-Security-Policy
};

}  // namespace sealcast::http
