// A real S3 server (SeaweedFS, test/servers/seaweed) with the bucket `test`.
#ifndef WALLABY_TEST_SUPPORT_TEST_BUCKET_H_
#define WALLABY_TEST_SUPPORT_TEST_BUCKET_H_

#include <string>

namespace wallaby {

inline constexpr char kTestBucket[] = "test";
inline constexpr char kTestAccessKey[] = "admin";
inline constexpr char kTestSecretKey[] = "secretsecret";

// Its URL. All test processes of one ctest run share one; else it lives as long as this process does. Ends the program
// when it does not start.
std::string TestBucketUrl();

}  // namespace wallaby

#endif  // WALLABY_TEST_SUPPORT_TEST_BUCKET_H_
