# Programs written for libgc, compiled unchanged against libgc and against gcmalloc/gc.h: both must say the same. Without
# libgc (Debian: libgc-dev) ours alone must say what was recorded.
if(GCM_TEST_LIBRARY)
  return()
endif()
find_library(BOEHM_LIBRARY gc)
find_path(BOEHM_INCLUDE_DIR gc/gc.h)
foreach(name boehm_data boehm_lifetime boehm_more)
  set(source ${CMAKE_CURRENT_LIST_DIR}/${name}.c)
  add_executable(${name} ${source})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/include/gcmalloc)
  target_link_libraries(${name} PRIVATE gcmalloc)
  set(real none)
  if(BOEHM_LIBRARY AND BOEHM_INCLUDE_DIR)
    add_executable(${name}_libgc ${source})
    target_include_directories(${name}_libgc PRIVATE ${BOEHM_INCLUDE_DIR})
    target_link_libraries(${name}_libgc PRIVATE ${BOEHM_LIBRARY} Threads::Threads)
    set(real $<TARGET_FILE:${name}_libgc>)
  endif()
  add_test(NAME boehm.${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/run.sh $<TARGET_FILE:${name}> ${real}
    ${CMAKE_CURRENT_LIST_DIR}/${name}.txt)
  set_tests_properties(boehm.${name} PROPERTIES LABELS quick TIMEOUT 120)
endforeach()

# A configure script looks for a symbol, with a declaration of its own.
add_executable(boehm_archive ${CMAKE_CURRENT_LIST_DIR}/boehm_archive.c)
target_link_libraries(boehm_archive PRIVATE gcmalloc_boehm gcmalloc)
add_test(NAME boehm.archive COMMAND boehm_archive)
set_tests_properties(boehm.archive PROPERTIES LABELS quick TIMEOUT 60)

if(BOEHM_LIBRARY AND BOEHM_INCLUDE_DIR)
  add_test(NAME boehm.mapped COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/mapped.sh ${CMAKE_C_COMPILER} ${PROJECT_SOURCE_DIR}
    ${BOEHM_INCLUDE_DIR})
  set_tests_properties(boehm.mapped PROPERTIES LABELS quick TIMEOUT 60)
endif()
