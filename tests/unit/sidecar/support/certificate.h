// Certificates for tests.
#pragma once

#include <string>

namespace sealcast::test {

// A certificate of its own authority for the host `name`, and its key, as PEM files.
void make_certificate(const std::string& name, const std::string& certificate_file, const std::string& key_file);

}  // namespace sealcast::test
