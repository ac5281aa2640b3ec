# gcrun --pid, --stats and --doctor on processes that live.
gcm_test_program(control_target ${CMAKE_CURRENT_LIST_DIR}/control_target.c)
add_test(NAME control.pid
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/control.sh $<TARGET_FILE:gcrun> $<TARGET_FILE:control_target>)
set_tests_properties(control.pid PROPERTIES LABELS quick TIMEOUT 240 SKIP_RETURN_CODE 77)

gcm_test_program(snapshot_target ${CMAKE_CURRENT_LIST_DIR}/snapshot_target.c)
target_link_libraries(snapshot_target PRIVATE gcmalloc)
add_test(NAME control.snapshot
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/snapshot.sh $<TARGET_FILE:gcrun> $<TARGET_FILE:snapshot_target>
  $<TARGET_FILE:control_target>)
set_tests_properties(control.snapshot PROPERTIES LABELS quick TIMEOUT 240 SKIP_RETURN_CODE 77)
