// Real servers of objects, each with a bucket `test`: SeaweedFS (test/servers/seaweed) for S3, Azurite and
// fake-gcs-server (test/servers/cloud) for Azure and Google.
#ifndef WALLABY_TEST_SUPPORT_TEST_BUCKET_H_
#define WALLABY_TEST_SUPPORT_TEST_BUCKET_H_

#include <string>

namespace wallaby {

inline constexpr char kTestBucket[] = "test";
inline constexpr char kTestAccessKey[] = "admin";
inline constexpr char kTestSecretKey[] = "secretsecret";

inline constexpr char kTestAzureAccount[] = "devstoreaccount1";
// That of every Azurite: no secret.
inline constexpr char kTestAzureKey[] =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

// Their URLs. All test processes of one ctest run share each; else it lives as long as this process does. They end the
// program when it does not start.
std::string TestBucketUrl();
// With the account in it.
std::string TestAzureUrl();
std::string TestGcsUrl();

}  // namespace wallaby

#endif  // WALLABY_TEST_SUPPORT_TEST_BUCKET_H_
