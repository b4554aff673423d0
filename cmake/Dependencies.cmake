# Everything that WALlaby takes from outside, each as one imported target:
#
#   wallaby_dep::absl  grpc  protobuf  pq  sqlite  json  yaml  prometheus  httplib  curl  xxhash  otlp  gtest  benchmark
#   arrow  parquet  duckdb  adbc  rdkafka
#
# and the code generators wallaby_dep::protoc and wallaby_dep::grpc_cpp_plugin (executables).
# Most come from the distribution. Arrow, Parquet, DuckDB, ADBC and librdkafka are looked for in the system first and then
# in WALLABY_DEPS_DIR, which `./dev setup` fills. Where DuckDB, Arrow or librdkafka is missing, WALLABY_WITH_DUCKDB,
# WALLABY_WITH_PARQUET or WALLABY_WITH_KAFKA is turned off, and the rest still builds.
# Headers of imported targets are system headers, so our own warnings do not apply to them.
include_guard(GLOBAL)

set(WALLABY_DEPS_DIR "${CMAKE_SOURCE_DIR}/.deps" CACHE PATH "Filled by ./dev setup")
set(WALLABY_SANITIZE "" CACHE STRING "Sanitizers to compile with, for example address,undefined or thread")

# Tools that make the build faster and are not required ---------------------------------------------------------------
find_program(WALLABY_CCACHE ccache)
if(WALLABY_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER "${WALLABY_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${WALLABY_CCACHE}")
endif()
find_program(WALLABY_MOLD mold)
if(WALLABY_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# GCC 12 and 13 warn about "text" + std::to_string(n) when they inline it (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  add_compile_options(-Wno-restrict)
endif()

if(WALLABY_SANITIZE)
  add_compile_options(-O1 -g -fno-omit-frame-pointer "-fsanitize=${WALLABY_SANITIZE}" -fno-sanitize-recover=all)
  add_link_options("-fsanitize=${WALLABY_SANITIZE}")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC's flow analysis sees the sanitizer's own code and warns about values that are set.
    add_compile_options(-Wno-error=maybe-uninitialized -Wno-error=stringop-overflow -Wno-error=array-bounds)
  endif()
  if(WALLABY_SANITIZE MATCHES "thread")
    add_compile_options(-Wno-error=tsan)  # std::atomic_thread_fence is not understood by it
    # Protobuf and Abseil change the layout of their classes under this sanitizer, and the distribution's libraries are
    # built without it. The standard library may know.
    add_compile_options(-U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1)
  endif()
endif()

# Helpers -------------------------------------------------------------------------------------------------------------
# wallaby_dependency(NAME target...): wallaby_dep::NAME stands for these targets or libraries.
function(wallaby_dependency name)
  add_library(wallaby_dep::${name} INTERFACE IMPORTED GLOBAL)
  target_link_libraries(wallaby_dep::${name} INTERFACE ${ARGN})
endfunction()

# wallaby_shared_library(NAME FILE INCLUDE_DIR): a shared library outside the system's directories. CMake puts its
# folder into the RPATH of what is linked to it in the build tree.
function(wallaby_shared_library name file include)
  add_library(wallaby_dep::${name} SHARED IMPORTED GLOBAL)
  set_target_properties(wallaby_dep::${name} PROPERTIES IMPORTED_LOCATION "${file}")
  if(include)
    set_target_properties(wallaby_dep::${name} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${include}")
  endif()
endfunction()

find_package(Threads REQUIRED)

# From the distribution -----------------------------------------------------------------------------------------------
find_package(absl CONFIG REQUIRED)

# Debian builds Abseil with a string_view of its own, which neither takes nor gives a std::string_view. Ours is the
# standard one everywhere, so the three headers concerned are copied into the build tree with conversions added. Members
# without storage change no layout, so the libraries stay what they are. Elsewhere both are the same type already.
find_path(WALLABY_ABSL_INCLUDE_DIR absl/strings/string_view.h REQUIRED)
file(STRINGS "${WALLABY_ABSL_INCLUDE_DIR}/absl/base/options.h" wallaby_absl_own_string_view
  REGEX "^#define ABSL_OPTION_USE_STD_STRING_VIEW 0")
function(wallaby_add_to_header header after addition)
  file(READ "${WALLABY_ABSL_INCLUDE_DIR}/${header}" text)
  string(FIND "${text}" "${after}" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "${header} of this Abseil is not as expected: use one with ABSL_OPTION_USE_STD_STRING_VIEW 1")
  endif()
  string(REPLACE "${after}" "${after}\n${addition}" text "${text}")
  set(copy "${CMAKE_BINARY_DIR}/compat/${header}")
  set(old "")
  if(EXISTS "${copy}")
    file(READ "${copy}" old)
  endif()
  if(NOT old STREQUAL text)
    file(WRITE "${copy}" "${text}")
  endif()
endfunction()
if(wallaby_absl_own_string_view)
  wallaby_add_to_header(absl/strings/string_view.h "constexpr string_view() noexcept : ptr_(nullptr), length_(0) {}"
"  constexpr string_view(std::string_view text) noexcept : ptr_(text.data()), length_(text.size()) {}
  constexpr operator std::string_view() const noexcept { return std::string_view(ptr_, length_); }
  template <typename T, typename std::enable_if<std::is_same<T, std::string_view>::value, int>::type = 0>
  friend constexpr bool operator==(string_view a, T b) noexcept { return std::string_view(a) == b; }")
  wallaby_add_to_header(absl/strings/str_cat.h "AlphaNum(absl::string_view pc) : piece_(pc) {}"
"  AlphaNum(std::string_view text) : piece_(text) {}")
  wallaby_add_to_header(absl/strings/internal/str_split_internal.h "ConvertibleToStringView(char* s) : value_(s) {}"
"  ConvertibleToStringView(std::string_view text) : value_(text) {}")
  # For everything, so that no two sources see different classes.
  include_directories(BEFORE SYSTEM "${CMAKE_BINARY_DIR}/compat")
endif()
wallaby_dependency(absl
  absl::any_invocable absl::base absl::btree absl::cleanup absl::core_headers absl::fixed_array absl::flat_hash_map
  absl::flat_hash_set absl::function_ref absl::hash absl::inlined_vector absl::memory absl::node_hash_map absl::optional
  absl::random_random absl::span absl::stacktrace absl::status absl::statusor absl::str_format absl::strings
  absl::symbolize absl::synchronization absl::time)

find_package(Protobuf REQUIRED)
wallaby_dependency(protobuf protobuf::libprotobuf)
if(NOT TARGET wallaby_dep::protoc)
  add_executable(wallaby_dep::protoc IMPORTED GLOBAL)
  set_target_properties(wallaby_dep::protoc PROPERTIES IMPORTED_LOCATION "${Protobuf_PROTOC_EXECUTABLE}")
endif()

# Reflection registers itself from a static constructor and nothing refers to it, so the linker must be told to keep it.
find_library(WALLABY_GRPCPP_LIBRARY grpc++ REQUIRED)
find_library(WALLABY_GRPC_REFLECTION_LIBRARY grpc++_reflection REQUIRED)
find_library(WALLABY_GRPC_LIBRARY grpc REQUIRED)
find_library(WALLABY_GPR_LIBRARY gpr REQUIRED)
find_path(WALLABY_GRPC_INCLUDE_DIR grpcpp/grpcpp.h REQUIRED)
wallaby_dependency(grpc
  "-Wl,--push-state,--no-as-needed" "${WALLABY_GRPC_REFLECTION_LIBRARY}" "-Wl,--pop-state"
  "${WALLABY_GRPCPP_LIBRARY}" "${WALLABY_GRPC_LIBRARY}" "${WALLABY_GPR_LIBRARY}"
  wallaby_dep::protobuf absl::strings absl::synchronization Threads::Threads)
find_program(WALLABY_GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
add_executable(wallaby_dep::grpc_cpp_plugin IMPORTED GLOBAL)
set_target_properties(wallaby_dep::grpc_cpp_plugin PROPERTIES IMPORTED_LOCATION "${WALLABY_GRPC_CPP_PLUGIN}")

find_package(PkgConfig REQUIRED)
pkg_check_modules(WALLABY_PQ REQUIRED IMPORTED_TARGET libpq)
wallaby_dependency(pq PkgConfig::WALLABY_PQ)
find_package(SQLite3 REQUIRED)
wallaby_dependency(sqlite SQLite::SQLite3)
find_package(nlohmann_json CONFIG REQUIRED)
wallaby_dependency(json nlohmann_json::nlohmann_json)
find_package(yaml-cpp CONFIG REQUIRED)
if(TARGET yaml-cpp::yaml-cpp)
  wallaby_dependency(yaml yaml-cpp::yaml-cpp)
else()
  wallaby_dependency(yaml yaml-cpp)
endif()

# Only the text format; the listener is ours.
find_library(WALLABY_PROMETHEUS_LIBRARY prometheus-cpp-core REQUIRED)
wallaby_dependency(prometheus "${WALLABY_PROMETHEUS_LIBRARY}")
# Built apart from its header, so both must agree on what is in it: its flags tell.
pkg_check_modules(WALLABY_HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
wallaby_dependency(httplib PkgConfig::WALLABY_HTTPLIB Threads::Threads)
find_package(CURL 7.77 REQUIRED)
wallaby_dependency(curl CURL::libcurl)

# Only its header: it compiles into what includes it.
find_path(WALLABY_XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
wallaby_dependency(xxhash)
target_include_directories(wallaby_dep::xxhash SYSTEM INTERFACE "${WALLABY_XXHASH_INCLUDE_DIR}")

# Only for tests and measurements.
find_package(GTest CONFIG)
if(GTest_FOUND)
  if(TARGET GTest::gmock)
    wallaby_dependency(gtest GTest::gmock GTest::gtest GTest::gtest_main)
  else()
    find_library(WALLABY_GMOCK_LIBRARY gmock REQUIRED)
    wallaby_dependency(gtest GTest::gtest_main "${WALLABY_GMOCK_LIBRARY}" GTest::gtest)
  endif()
elseif(WALLABY_BUILD_TESTS)
  message(STATUS "No GoogleTest: WALLABY_BUILD_TESTS is turned off")
  set(WALLABY_BUILD_TESTS OFF)
endif()
find_package(benchmark CONFIG)
if(benchmark_FOUND)
  wallaby_dependency(benchmark benchmark::benchmark)
endif()

# OpenTelemetry, for its module alone. Only some versions of its package look for what they need themselves. -----------
if(WALLABY_WITH_OTLP)
  find_package(CURL QUIET)
  find_package(opentelemetry-cpp CONFIG QUIET)
  if(TARGET opentelemetry-cpp::otlp_grpc_metrics_exporter AND TARGET opentelemetry-cpp::otlp_http_metric_exporter)
    message(STATUS "OpenTelemetry ${opentelemetry-cpp_VERSION}")
    wallaby_dependency(otlp
      opentelemetry-cpp::otlp_grpc_exporter opentelemetry-cpp::otlp_grpc_metrics_exporter
      opentelemetry-cpp::otlp_grpc_log_record_exporter opentelemetry-cpp::otlp_http_exporter
      opentelemetry-cpp::otlp_http_metric_exporter opentelemetry-cpp::otlp_http_log_record_exporter
      opentelemetry-cpp::metrics opentelemetry-cpp::trace opentelemetry-cpp::logs opentelemetry-cpp::resources)
  else()
    message(WARNING "No opentelemetry-cpp with its OTLP exporters (./dev setup installs it): building without OTLP "
                    "(WALLABY_WITH_OTLP=OFF)")
    set(WALLABY_WITH_OTLP OFF)
  endif()
endif()

# Arrow and Parquet ---------------------------------------------------------------------------------------------------
if(WALLABY_WITH_PARQUET)
  find_package(Arrow CONFIG QUIET)
  find_package(Parquet CONFIG QUIET)
  if(Arrow_FOUND AND Parquet_FOUND)
    message(STATUS "Arrow ${ARROW_VERSION} from the system")
    wallaby_dependency(arrow Arrow::arrow_shared)
    wallaby_dependency(parquet Parquet::parquet_shared wallaby_dep::arrow)
  elseif(EXISTS "${WALLABY_DEPS_DIR}/arrow/lib/libparquet.so")
    message(STATUS "Arrow from ${WALLABY_DEPS_DIR}/arrow")
    wallaby_shared_library(arrow "${WALLABY_DEPS_DIR}/arrow/lib/libarrow.so" "${WALLABY_DEPS_DIR}/arrow/include")
    wallaby_shared_library(parquet "${WALLABY_DEPS_DIR}/arrow/lib/libparquet.so" "${WALLABY_DEPS_DIR}/arrow/include")
    target_link_libraries(wallaby_dep::parquet INTERFACE wallaby_dep::arrow)
  else()
    message(WARNING "No Arrow with Parquet in the system or in ${WALLABY_DEPS_DIR}/arrow (./dev setup puts it there): "
                    "building without parquet (WALLABY_WITH_PARQUET=OFF)")
    set(WALLABY_WITH_PARQUET OFF)
  endif()
endif()

# DuckDB, through ADBC: the header is ADBC's, the library exports duckdb_adbc_init -------------------------------------
find_path(WALLABY_ADBC_INCLUDE_DIR arrow-adbc/adbc.h HINTS "${WALLABY_DEPS_DIR}/adbc/include")
if(WALLABY_ADBC_INCLUDE_DIR)
  add_library(wallaby_dep::adbc INTERFACE IMPORTED GLOBAL)
  set_target_properties(wallaby_dep::adbc PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${WALLABY_ADBC_INCLUDE_DIR}")
endif()
if(WALLABY_WITH_DUCKDB)
  set(WALLABY_DUCKDB_DIR "${WALLABY_DEPS_DIR}/duckdb" CACHE PATH "Folder that holds libduckdb.so")
  find_library(WALLABY_DUCKDB_LIBRARY duckdb HINTS "${WALLABY_DUCKDB_DIR}" "${WALLABY_DUCKDB_DIR}/lib")
  if(WALLABY_DUCKDB_LIBRARY AND WALLABY_ADBC_INCLUDE_DIR)
    message(STATUS "DuckDB: ${WALLABY_DUCKDB_LIBRARY}")
    wallaby_shared_library(duckdb "${WALLABY_DUCKDB_LIBRARY}" "")
    target_link_libraries(wallaby_dep::duckdb INTERFACE wallaby_dep::adbc)
  else()
    message(WARNING "libduckdb.so or arrow-adbc/adbc.h is neither in the system nor in ${WALLABY_DEPS_DIR} "
                    "(./dev setup puts them there): building without duckdb (WALLABY_WITH_DUCKDB=OFF)")
    set(WALLABY_WITH_DUCKDB OFF)
  endif()
endif()

# Kafka's client in C. Before 2.6.1 its SCRAM fails with Kafka 4. -------------------------------------------------------
if(WALLABY_WITH_KAFKA)
  pkg_check_modules(WALLABY_RDKAFKA IMPORTED_TARGET rdkafka>=2.6.1)
  if(WALLABY_RDKAFKA_FOUND)
    message(STATUS "librdkafka ${WALLABY_RDKAFKA_VERSION} from the system")
    wallaby_dependency(rdkafka PkgConfig::WALLABY_RDKAFKA)
  elseif(EXISTS "${WALLABY_DEPS_DIR}/rdkafka/lib/librdkafka.a")
    message(STATUS "librdkafka from ${WALLABY_DEPS_DIR}/rdkafka")
    find_package(OpenSSL REQUIRED)
    find_package(ZLIB REQUIRED)
    pkg_check_modules(WALLABY_ZSTD REQUIRED IMPORTED_TARGET libzstd)
    wallaby_dependency(rdkafka "${WALLABY_DEPS_DIR}/rdkafka/lib/librdkafka.a" PkgConfig::WALLABY_ZSTD OpenSSL::SSL
      ZLIB::ZLIB Threads::Threads ${CMAKE_DL_LIBS} m)
    target_include_directories(wallaby_dep::rdkafka SYSTEM INTERFACE "${WALLABY_DEPS_DIR}/rdkafka/include")
  else()
    message(WARNING "No librdkafka of version 2.6.1 or later in the system or in ${WALLABY_DEPS_DIR}/rdkafka (./dev setup "
                    "puts it there): building without kafka and bufstream (WALLABY_WITH_KAFKA=OFF)")
    set(WALLABY_WITH_KAFKA OFF)
  endif()
endif()
