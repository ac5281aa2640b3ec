# What the CMakeLists of integration, abort and stress share: how a test program is built, and how it is run on the
# library. Labels: quick (a minute in all), full (with quick at most a quarter of an hour on two cores), long (beyond).
include_guard(DIRECTORY)

# Normally empty. Another library here lets the tests themselves be tried, on an allocator that must pass or must fail.
set(GCM_TEST_LIBRARY "" CACHE FILEPATH "library that the tests preload; empty: the one built here")


# gcm_preload_path(VAR): the file to preload, as a generator expression.
function(gcm_preload_path var)
  if(GCM_TEST_LIBRARY)
    set(${var} "${GCM_TEST_LIBRARY}" PARENT_SCOPE)
  else()
    set(${var} "$<TARGET_FILE:gcmalloc>" PARENT_SCOPE)
  endif()
endfunction()

# gcm_test_program(NAME SOURCE... [LIBS lib...]): an ordinary program that knows nothing of the library at link time.
# The builtins are off so that the compiler does not remove the very calls that are tested.
function(gcm_test_program name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_FUNCTION_LIST_DIR} ${PROJECT_SOURCE_DIR}/include)
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wundef -fno-builtin -g
    $<$<BOOL:${GCMALLOC_WERROR}>:-Werror> $<$<C_COMPILER_ID:Clang>:-Wno-unknown-warning-option>)
  target_link_libraries(${name} PRIVATE Threads::Threads ${ARG_LIBS})
endfunction()

# gcm_preload_test(NAME LABEL label TIMEOUT s COMMAND cmd... [ENV name=value...]): cmd runs with the library preloaded.
function(gcm_preload_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "COMMAND;ENV" ${ARGN})
  gcm_preload_path(library)
  add_test(NAME ${name} COMMAND ${ARG_COMMAND})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77
    ENVIRONMENT "LD_PRELOAD=${library};${ARG_ENV}")
endfunction()

if(NOT TARGET Threads::Threads)
  find_package(Threads REQUIRED)
endif()
