# A room is one folder under src/ and one static library. What a room may know is what it links:
# include paths come only with links, so an include of a room that is not linked does not compile.
#
#   wallaby_room(NAME SOURCES a.cc b.cc KNOWS base change DEPS wallaby_dep::pq)
#   wallaby_room_test(NAME a_test.cc ... [LABELS integration] [DEPS ...])
#
# Headers are included as "room/header.h". To make the rule hold, every room exposes a private include
# tree build/rooms/NAME/NAME -> src/NAME, and nothing else of src/.
function(wallaby_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;KNOWS;DEPS;PRIVATE_DEPS" ${ARGN})
  set(tree "${CMAKE_BINARY_DIR}/rooms/${name}")
  file(MAKE_DIRECTORY "${tree}")
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}/src/${name}" "${tree}/${name}" SYMBOLIC)
  if(ROOM_SOURCES)
    add_library(wallaby_${name} STATIC ${ROOM_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(wallaby_${name} PRIVATE ${ROOM_PRIVATE_DEPS})
  else()
    add_library(wallaby_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(wallaby_${name} ${scope} "${tree}")
  list(TRANSFORM ROOM_KNOWS PREPEND wallaby_)
  target_link_libraries(wallaby_${name} ${scope} ${ROOM_KNOWS} ${ROOM_DEPS})
endfunction()

# Tests that run slow programs have more time: their limits are multiplied by this, and so are waits within them, which
# find it in the environment.
set(WALLABY_TIME_SCALE 1 CACHE STRING "How much slower than release programs the programs of this build may be")

# Builds what the tests with the label unit need, and no more: for the sanitizers.
add_custom_target(unit_tests)

function(wallaby_room_test name)
  if(NOT WALLABY_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(T "" "TARGET;TIMEOUT" "LABELS;DEPS" ${ARGN})
  if(NOT T_TARGET)
    set(T_TARGET ${name}_test)
  endif()
  if(NOT T_LABELS)
    set(T_LABELS unit)
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  add_executable(${T_TARGET} ${T_UNPARSED_ARGUMENTS})
  set_target_properties(${T_TARGET} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_link_libraries(${T_TARGET} PRIVATE wallaby_${name} ${T_DEPS} wallaby_dep::gtest)
  if("unit" IN_LIST T_LABELS)
    add_dependencies(unit_tests ${T_TARGET})
  endif()
  # For tests that run the programs; WALLABY_BIN_DIR in the environment wins.
  target_compile_definitions(${T_TARGET} PRIVATE WALLABY_DEFAULT_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  math(EXPR T_TIMEOUT "${T_TIMEOUT} * ${WALLABY_TIME_SCALE}")
  gtest_discover_tests(${T_TARGET} DISCOVERY_MODE PRE_TEST
    # Disabled cases are bodies of processes that other cases start and kill.
    TEST_FILTER "-*.DISABLED_*"
    PROPERTIES LABELS "${T_LABELS}" TIMEOUT ${T_TIMEOUT} ENVIRONMENT "WALLABY_SOURCE_DIR=${CMAKE_SOURCE_DIR};WALLABY_TIME_SCALE=${WALLABY_TIME_SCALE}")
endfunction()
