// Serves the files of one directory, and no file outside of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.h"

namespace sealcast::http {

class StaticFiles {
 public:
  // Content-Security-Policy lets a page load only from its own origin, and connect only to that and `connect_origins`.
  StaticFiles(std::string directory, const std::vector<std::string>& connect_origins);

  // Answers with the file at this path of a URL, or with the index.html of a directory; otherwise 404. Files of more
  // than 8 MiB are not served.
  void answer(std::string_view path, Response& response) const;

 private:
  std::string directory_;
  std::string policy_;  // Content-Security-Policy
};

}  // namespace sealcast::http
