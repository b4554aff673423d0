// wallaby-admin: the operator's command line.
#include "cli/admin.h"

int main(int argc, char** argv) {
  return wallaby::RunAdmin(argc, argv);
}
