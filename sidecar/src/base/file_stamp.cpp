// Reads the stamp of a file with stat(2).
#include "base/file_stamp.h"

#include <sys/stat.h>

namespace sealcast {

FileStamp stamp_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {status.st_ino,          status.st_size,        status.st_mtim.tv_sec,
          status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec};
}

}  // namespace sealcast
