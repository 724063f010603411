# SPDX-License-Identifier: Apache-2.0
install(TARGETS kiln RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
