// What CREATE EXTENSION has to say about the server it finds itself in.
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
        (errmsg("sealcast.keyring is not set: nothing can be sealed or verified"),
         errhint("Make a directory with one key in it (openssl rand -hex 32 > DIRECTORY/k1; chmod o-rwx), set "
                 "sealcast.keyring = 'DIRECTORY' and sealcast.signing_kid = 'k1' in postgresql.conf, and reload.")));
    return;
  }
  const char* const problem = sealing::key_store::problem();
  if (*problem != '\0') {
    ereport(WARNING, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("the keyring cannot be used: %s", problem),
                      errhint("Mend it and reload; select * from sealcast.keys() shows the keys then.")));
    return;
  }
  const char* const kid = server::settings::signing_kid;
  if (*kid == '\0') {
    ereport(WARNING, (errmsg("sealcast.signing_kid is not set: nothing can be sealed"),
                      errhint("Set it to the kid of a key in sealcast.keyring, and reload.")));
  } else if (sealing::key_store::current().find(kid) == nullptr) {
    ereport(WARNING, (errmsg("sealcast.signing_kid names \"%s\", which is not in the keyring", kid),
                      errhint("Add that file to the directory sealcast.keyring, or name another, and reload.")));
  }
}

}  // namespace

SEALCAST_FUNCTION(sealcast_setup_notices) {
  if (GetDatabaseEncoding() != PG_UTF8) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("sealcast needs a database whose encoding is UTF8, not %s", GetDatabaseEncodingName()),
                    errdetail("Canonical JSON is UTF-8; what is signed must be what is stored."),
                    errhint("create database … encoding 'UTF8' template template0")));
  }
  if (!sealing::key_store::preloaded()) {
    ereport(WARNING,
            (errmsg("sealcast is not preloaded"),
             errdetail("It works, but each commit of messages pays for a NOTIFY, and each connection reads the keyring "
                       "for itself."),
             errhint("Add sealcast to shared_preload_libraries in postgresql.conf and restart the server.")));
  }
  check_keyring();
  PG_RETURN_VOID();
}

}  // namespace sealcast
