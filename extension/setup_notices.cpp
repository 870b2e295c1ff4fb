// Checks the configuration of the server during CREATE EXTENSION, and warns about problems.
#include "sealing/key_store.h"
#include "server/pg.h"
#include "server/settings.h"

extern "C" {
#include "utils/guc.h"
}

namespace sealcast {

namespace {

void check_keyring() {
  if (*server::settings::keyring == '\0') {
    ereport(
        WARNING,
        (errmsg("sealcast.keyring is not set, so nothing can be sealed or verified"),
         errhint("Make a directory with one key (openssl rand -hex 32 > DIRECTORY/k1; chmod o-rwx DIRECTORY/k1). Set "
                 "sealcast.keyring = 'DIRECTORY' and sealcast.signing_kid = 'k1' in postgresql.conf, then reload.")));
    return;
  }
  const char* const problem = sealing::key_store::problem();
  if (*problem != '\0') {
    ereport(WARNING, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("the keyring cannot be used: %s", problem),
                      errhint("Fix the problem, then reload. select * from sealcast.keys() shows the keys.")));
    return;
  }
  const char* const kid = server::settings::signing_kid;
  if (*kid == '\0') {
    ereport(WARNING, (errmsg("sealcast.signing_kid is not set, so nothing can be sealed"),
                      errhint("Set it to the id of a key in sealcast.keyring, then reload.")));
  } else if (sealing::key_store::current().find(kid) == nullptr) {
    ereport(WARNING, (errmsg("sealcast.signing_kid is \"%s\", which is not in the keyring", kid),
                      errhint("Add that file to the directory sealcast.keyring, or name another key, then reload.")));
  }
}

}  // namespace

SEALCAST_FUNCTION(sealcast_setup_notices) {
  if (GetDatabaseEncoding() != PG_UTF8) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("sealcast needs a database with encoding UTF8, not %s", GetDatabaseEncodingName()),
                    errdetail("Canonical JSON is UTF-8, and the stored text must be the signed text."),
                    errhint("Run: create database … encoding 'UTF8' template template0.")));
  }
  if (!sealing::key_store::preloaded()) {
    ereport(WARNING,
            (errmsg("sealcast is not preloaded"),
             errdetail("It works, but each commit of messages sends a NOTIFY, and each connection reads the keyring "
                       "itself."),
             errhint("Add sealcast to shared_preload_libraries in postgresql.conf, then restart the server.")));
  }
  check_keyring();
  PG_RETURN_VOID();
}

}  // namespace sealcast
