// Finds the file for the path of a URL, and the content type for the extension of a file name.
#include "http/static_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace sealcast::http {

namespace {

constexpr std::uintmax_t kMaxFile = 8 * 1024 * 1024;

std::string_view content_type(const std::filesystem::path& file) {
  static constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".mjs", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".json", "application/json"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".ico", "image/x-icon"},
      {".txt", "text/plain; charset=utf-8"},
      {".woff2", "font/woff2"},
  };
  for (auto [extension, type] : kTypes) {
    if (file.extension() == extension) return type;
  }
  return "application/octet-stream";
}

}  // namespace

StaticFiles::StaticFiles(std::string directory, const std::vector<std::string>& connect_origins)
    : directory_(std::move(directory)), policy_("default-src 'self'; connect-src 'self'") {
  for (const std::string& origin : connect_origins) policy_ += " " + origin;
  policy_ += "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

void StaticFiles::answer(std::string_view path, Response& response) const {
  namespace fs = std::filesystem;
  // Paths with percent-encoding, backslashes, hidden files or ".." get 404.
  bool plain = path.starts_with('/') && path.find_first_of("%\\") == path.npos && path.find("/.") == path.npos;
  std::error_code ec;
  fs::path root = fs::canonical(directory_, ec);
  fs::path file =
      ec || !plain ? fs::path()
                   : fs::weakly_canonical(root / path.substr(std::min(path.size(), path.find_first_not_of('/'))), ec);
  if (fs::is_directory(file, ec)) file /= "index.html";
  // weakly_canonical() has resolved symbolic links, so this check also finds a link that leads out of the directory.
  bool inside = std::mismatch(root.begin(), root.end(), file.begin(), file.end()).first == root.end();
  if (!plain || !inside || !fs::is_regular_file(file, ec) || fs::file_size(file, ec) > kMaxFile) {
    return answer_not_found(response);
  }
  std::ifstream in(file, std::ios::binary);
  response.body.assign(std::istreambuf_iterator<char>(in), {});
  response.content_type = content_type(file);
  response.header("Content-Security-Policy", policy_);
}

}  // namespace sealcast::http
