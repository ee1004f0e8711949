console.log("page: not built");
