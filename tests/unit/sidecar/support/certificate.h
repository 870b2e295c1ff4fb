// Generates certificates for tests.
#pragma once

#include <string>

namespace sealcast::test {

// Writes a self-signed certificate for the host `name`, and its key, as PEM files.
void make_certificate(const std::string& name, const std::string& certificate_file, const std::string& key_file);

}  // namespace sealcast::test
