{
  "targets": [
    {
      "target_name": "canfleet_socketcan",
      "sources": ["src/addon.c", "src/can_socket.c", "src/periodic.c", "src/notify.c"],
      "cflags": ["-std=gnu11", "-Wall", "-Wextra"]
    }
  ]
}
