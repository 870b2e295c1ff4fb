// TLS contexts that trust the certificates of a file. A replaced file takes effect with the next connection.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/file_stamp.h"
#include "base/log.h"

namespace sealcast {

template <typename Context>
class CaFile {
 public:
  // Makes a context from the file. Throws an exception with the file and the fix when the file cannot be used.
  using Make = std::function<std::shared_ptr<Context>()>;

  // `file` is empty for the system's certificates, which are read only here. Throws what `make` throws.
  CaFile(std::string file, Make make)
      : file_(std::move(file)), stamp_(stamp_file(file_)), make_(std::move(make)), context_(make_()) {}

  // Returns the context for a new connection. When the file has changed and cannot be used, the last context stays in
  // use.
  std::shared_ptr<Context> context() {
    const FileStamp now = file_.empty() ? stamp_ : stamp_file(file_);
    if (now == stamp_) return context_;
    stamp_ = now;
    try {
      context_ = make_();
      log::write(log::Level::info, log::tag::kLifecycle, "certificates were read again", {{"file", file_}});
    } catch (const std::exception& error) {
      log::write(log::Level::error, log::tag::kLifecycle,
                 "certificates cannot be read again; the last ones stay in use",
                 {{"reason", std::string_view(error.what())}});
    }
    return context_;
  }

 private:
  const std::string file_;
  FileStamp stamp_;
  const Make make_;
  std::shared_ptr<Context> context_;
};

}  // namespace sealcast
